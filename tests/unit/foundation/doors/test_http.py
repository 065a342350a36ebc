"""What a session shows to whom, how long it waits and how often it asks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from foundation.doors.http import BasicAuthorization, HttpSession, NoAnswer, Patience

QUICK = Patience(connect=0.5, read=0.3, attempts=3, silent_attempts=2, backoff=0.01, retry_after=0)
LOGIN = "Basic dXNlcjpzZWNyZXQ="


class Seen(BaseHTTPRequestHandler):
    answer: ClassVar[Callable[[Seen], object]]
    asked: ClassVar[list[str]]

    def do_GET(self) -> None:
        self.asked.append(self.headers.get("Authorization", ""))
        type(self).answer(self)

    def say(self, status: int, location: str = "") -> None:
        self.send_response(status)
        self.send_header("Location", location)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def server(answer: Callable[[Seen], object]) -> Iterator[tuple[str, list[str]]]:
    """Its URL, and the authorization that each request showed."""
    asked: list[str] = []
    handler = type("Handler", (Seen,), {"answer": staticmethod(answer), "asked": asked})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{running.server_port}", asked
        finally:
            running.shutdown()
            thread.join()


@pytest.fixture
def netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "netrc"
    path.write_text("machine 127.0.0.1 login user password secret\n")
    monkeypatch.setenv("NETRC", str(path))


@pytest.mark.usefixtures("netrc")
@pytest.mark.parametrize("finds_logins", [False, True])
def test_logins_are_looked_for_only_where_that_is_wanted(finds_logins: bool) -> None:
    with server(lambda one: one.say(200)) as (url, asked), HttpSession(QUICK, 1, finds_logins=finds_logins) as session:
        session.get(url)
    assert asked == [LOGIN if finds_logins else ""]


@pytest.mark.usefixtures("netrc")
def test_a_redirect_takes_no_credential_to_another_server() -> None:
    with (
        server(lambda one: one.say(200)) as (other, there),
        server(lambda one: one.say(302, other)) as (url, here),
        HttpSession(QUICK, 1) as session,
    ):
        session.get(url, auth=BasicAuthorization("user", "secret"))
    assert (here, there) == ([LOGIN], [""])


def test_a_state_that_passes_is_waited_for_and_is_an_answer_in_the_end() -> None:
    with server(lambda one: one.say(503)) as (url, asked), HttpSession(QUICK, 1) as session:
        assert session.get(url).status_code == 503
    assert len(asked) == QUICK.attempts


def test_silence_is_borne_less_often() -> None:
    quiet = threading.Event()
    with server(lambda _: quiet.wait(10)) as (url, asked), HttpSession(QUICK, 1) as session:
        with pytest.raises(NoAnswer) as caught:
            session.get(url)
        quiet.set()
    assert len(asked) == QUICK.silent_attempts
    assert session.reason(caught.value) == f"no answer within 0.3 seconds from {url.removeprefix('http://')}"
