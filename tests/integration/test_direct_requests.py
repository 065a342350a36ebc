"""Small objects over the connections of a client: for all but the plain answer, the client itself asks once more."""

from __future__ import annotations

import pytest

from foundation.errors import CouldNotAskError
from foundation.stores.bucket import S3Store
from foundation.stores.s3_client import S3Location
from tests.integration.registry_server import Answer, Request, serve

PAGE = b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"
ERROR = b"<Error><Code>InternalError</Code><Message>too late</Message></Error>"
WHOLE = Answer(200, b"content", {"ETag": '"1"'})


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_MAX_ATTEMPTS": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("NO_PROXY", "*")


def is_direct(request: Request) -> bool:
    return request.headers["user-agent"] == "spacktainers"


@pytest.mark.parametrize("key", ["plain.json", "with blank+plus", "per%cent/ü/:;@&=", "a//b"])
def test_one_signed_request_reads_an_object(key: str) -> None:
    with serve(lambda request: WHOLE if "list-type" not in request.query else Answer(200, PAGE)) as server:
        store = S3Store(S3Location("bucket", "pre"), f"http://{server.host}")
        store.folders()
        content = store.read(key)
        assert content
        assert (content.data, content.tag) == (b"content", '"1"')
        asked = server.requests[1:]
        assert [is_direct(one) for one in asked] == [True]
        assert "Signature=" in asked[0].headers["authorization"]
        assert store.requests == {"LIST": 1, "GET": 1}
        # The client itself, which is asked as long as nothing was listed, takes the same path.
        S3Store(S3Location("bucket", "pre"), f"http://{server.host}").read(key)
        assert not is_direct(server.requests[-1])
        assert server.requests[-1].path == asked[0].path


@pytest.mark.parametrize(
    "first",
    [
        Answer(500, ERROR),
        Answer(503),
        Answer(403),
        Answer(307, headers={"Location": "/elsewhere"}),
        Answer(200, b"content"),
        Answer(200, b"content", {"ETag": '"1"', "Content-Encoding": "aws-chunked"}),
    ],
)
def test_whatever_else_comes_the_client_asks_again(first: Answer) -> None:
    def answer(request: Request) -> Answer:
        if "list-type" in request.query:
            return Answer(200, PAGE)
        return first if is_direct(request) else WHOLE

    with serve(answer) as server:
        store = S3Store(S3Location("bucket"), f"http://{server.host}")
        store.folders()
        content = store.read("x")
        assert content
        assert content.data == b"content"
        assert [is_direct(one) for one in server.requests[1:]] == [True, False]


@pytest.mark.parametrize(
    ("body", "known"), [(b"<CopyObjectResult><ETag>1</ETag></CopyObjectResult>", True), (ERROR, False)]
)
def test_a_copy_is_done_when_the_server_says_so(body: bytes, known: bool) -> None:
    def answer(request: Request) -> Answer:
        return Answer(200, PAGE if "list-type" in request.query else body)

    with serve(answer) as server:
        store = S3Store(S3Location("bucket", "pre"), f"http://{server.host}")
        store.folders()
        if known:
            store.copy("a b", "c+d")
            (request,) = server.requests[1:]
            assert request.headers["x-amz-copy-source"] == "bucket/pre/a%20b"
        else:
            with pytest.raises(CouldNotAskError, match="InternalError"):
                store.copy("a b", "c+d")
