"""What a store of a bucket makes of servers that are none of S3, or redirect without end."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from foundation.errors import CouldNotAskError
from foundation.stores.bucket import S3Store
from foundation.stores.s3_client import S3Location
from tests.integration.registry_server import Answer, serve

PAGE = Answer(200, b"<html>Welcome</html>", {"Content-Type": "text/html", "ETag": '"1"'})
MOVED = b"<Error><Code>PermanentRedirect</Code><Message>elsewhere</Message></Error>"


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_MAX_ATTEMPTS": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.mark.parametrize("asked", [lambda s: list(s.list("")), lambda s: s.look("x"), lambda s: s.read("x")])
@pytest.mark.parametrize(
    "answer",
    [Answer(301), Answer(307, headers={"Location": "/"}), Answer(301, MOVED), Answer(401), Answer(403), Answer(500)],
    ids=["bare", "in a circle", "S3's own", "401", "403", "500"],
)
def test_nothing_but_an_answer_is_one(answer: Answer, asked: Callable[[S3Store], object]) -> None:
    with serve(lambda _: answer) as server:
        store = S3Store(S3Location("bucket", "sifs"), f"http://{server.host}")
        with pytest.raises(CouldNotAskError, match=r"^s3://bucket/sifs/x?: "):
            asked(store)
        assert len(server.requests) < 200


def test_a_page_of_a_web_server_is_no_object() -> None:
    with serve(lambda _: PAGE) as server:
        store = S3Store(S3Location("bucket", "sifs"), f"http://{server.host}")
        with pytest.raises(CouldNotAskError, match="sifs/x: the answer is not that of an S3 server; it has no LastM"):
            store.look("x")
        with pytest.raises(CouldNotAskError, match="sifs/: the answer is not that of an S3 server"):
            list(store.list(""))
        with pytest.raises(CouldNotAskError, match="sifs: the answer is not that of an S3 server"):
            store.folders()
