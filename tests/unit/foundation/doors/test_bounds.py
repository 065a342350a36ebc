"""Servers that do not end: what they send is not read, and they are not waited for."""

from __future__ import annotations

import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from foundation.doors.http import HttpSession, NoAnswer, Patience

QUICK = Patience(connect=1, read=0.5, whole=0.6, attempts=2, silent_attempts=1, backoff=0.01, retry_after=0)
PIECE = b"x" * (1 << 16)
LONG = "Content-Length: 99999999999\r\n\r\n"
Talk = Callable[[socket.socket, threading.Event], object]


@contextmanager
def talking(talk: Talk) -> Iterator[tuple[str, list[int]]]:
    """A server that says the same to whoever connects; its URL, and how many did."""
    ended, asked = threading.Event(), [0]
    threads: list[threading.Thread] = []

    def one(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.settimeout(5)
            connection.recv(1 << 16)
            talk(connection, ended)

    def serve() -> None:
        while not ended.is_set():
            with suppress(TimeoutError):
                connection, _ = listening.accept()
                asked[0] += 1
                threads.append(threading.Thread(target=one, args=(connection,)))
                threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.05)
        threads.append(threading.Thread(target=serve))
        threads[0].start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/", asked
        finally:
            ended.set()
            for thread in threads:
                thread.join()


def endlessly(head: str) -> Talk:
    def talk(connection: socket.socket, ended: threading.Event) -> None:
        connection.sendall(head.replace("HERE", place(connection)).encode())
        while not ended.is_set():
            connection.sendall(PIECE)

    return talk


def dripping(head: str) -> Talk:
    def talk(connection: socket.socket, ended: threading.Event) -> None:
        connection.sendall(head.replace("HERE", place(connection)).encode())
        while not ended.wait(0.05):
            connection.sendall(b"x")

    return talk


def interim(connection: socket.socket, ended: threading.Event) -> None:
    while not ended.wait(0.001):
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")


def place(connection: socket.socket) -> str:
    return f"http://127.0.0.1:{connection.getsockname()[1]}/"


@pytest.mark.parametrize(
    ("talk", "status"),
    [
        (endlessly(f"HTTP/1.1 302 Found\r\nLocation: HERE\r\n{LONG}"), None),
        (dripping(f"HTTP/1.1 302 Found\r\nLocation: HERE\r\n{LONG}"), None),
        (endlessly(f"HTTP/1.1 503 Busy\r\n{LONG}"), 503),
        (dripping(f"HTTP/1.1 503 Busy\r\n{LONG}"), 503),
        (endlessly("HTTP/1.1 200 Fine\r\nX: "), None),
        (dripping("HTTP/1.1 200 Fine\r\nX: "), None),
        (dripping("HTTP/1.1 20"), None),
        (interim, None),
    ],
    ids=[
        "an endless redirect",
        "a redirect that drips",
        "an endless error",
        "an error that drips",
        "an endless head",
        "a head that drips",
        "a status that drips",
        "interim answers",
    ],
)
def test_what_does_not_end_is_given_up_and_not_kept(
    talk: Talk, status: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("foundation.doors.http.LONGEST_REST", 0.1)
    monkeypatch.setattr("foundation.doors.http.MOST_REDIRECTS", 3)
    before, begin = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    with talking(talk) as (url, asked), HttpSession(QUICK, 2) as session:
        if status:
            with session.get(url, stream=True) as answer:
                assert answer.status_code == status
            assert asked[0] == QUICK.attempts
        else:
            with pytest.raises(NoAnswer):
                session.get(url, stream=True)
    assert time.monotonic() - begin < 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10


@pytest.mark.parametrize(
    "location", ["http://[::1", "http://a:b/", "http://\xff\xfe\xe2/", "//[", "http://x:99999999/"]
)
def test_a_redirect_to_no_address_is_no_answer(location: str) -> None:
    head = f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"
    with (
        talking(lambda connection, _: connection.sendall(head.encode("latin-1"))) as (url, _),
        HttpSession(QUICK, 1) as session,
    ):
        with pytest.raises(NoAnswer) as caught:
            session.get(url)
        assert session.reason(caught.value).startswith("redirected to what is no address by")


def test_a_small_redirect_leaves_the_connection_usable() -> None:
    """A body of some bytes is read, so that the next request needs no new connection."""
    page = b"<a href='/there'>there</a>"

    def talk(connection: socket.socket, ended: threading.Event) -> None:
        found = f"HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: {len(page)}\r\n\r\n".encode() + page
        connection.sendall(found)
        connection.recv(1 << 16)
        connection.sendall(b"HTTP/1.1 200 Fine\r\nContent-Length: 4\r\n\r\nthis")

    with talking(talk) as (url, asked), HttpSession(QUICK, 1) as session:
        assert session.get(url).content == b"this"
    assert asked == [1]
