"""A real S3 server on loopback for tests (moto's, over HTTP), and a proxy before it that can fail on demand."""

from __future__ import annotations

import http.client
import itertools
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import botocore.loaders
import botocore.session
import pytest

KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "planted-secret", "AWS_DEFAULT_REGION": "us-east-1"}
"""What boto3 wants to find in the environment; moto takes any."""
_numbers = itertools.count()
_loader = botocore.loaders.create_loader()


@contextmanager
def s3_server() -> Iterator[str]:
    """The URL of a server; buckets of all servers in one process are the same, so take a `new_bucket`."""
    from moto.moto_server.werkzeug_app import MotoRequestHandler, create_backend_app
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    # The application of one service: moto's own server looks anew with each request for the one that is meant.
    server = make_server("127.0.0.1", 0, create_backend_app("s3"), threaded=True, request_handler=MotoRequestHandler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope="session", name="s3_url")
def s3_url_fixture() -> Iterator[str]:
    """One server for all tests of a process."""
    with s3_server() as url:
        yield url


@pytest.fixture(name="s3_environment")
def s3_environment_fixture(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The environment in which boto3 works against the server; its URL."""
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_SESSION_TOKEN", "S3_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setattr(botocore.session, "get_session", session_with_loaded_data)
    return s3_url


def session_with_loaded_data(env_vars: Any = None) -> botocore.session.Session:
    """A session as any; the megabytes of JSON about Amazon's services, slower than most tests, are read only once."""
    session = botocore.session.Session(env_vars)
    session.register_component("data_loader", _loader)
    return session


def new_bucket(client: Any) -> str:
    """The name of a bucket that no other test has."""
    name = f"containers-{next(_numbers)}"
    client.create_bucket(Bucket=name)
    return name


@dataclass(frozen=True)
class Answer:
    """What the proxy does instead of forwarding a request, or with the server's answer to it."""

    status: int = 0
    """Answer with this status, without asking the server."""
    content: bytes = b""
    """The content of that answer."""
    hang_up: bool = False
    """Close the connection without an answer."""
    cut_after: int | None = None
    """Let the connection break after so many bytes of the server's answer."""
    change: Callable[[bytes], bytes] | None = None
    """Change the content of the server's answer."""
    change_request: Callable[[bytes], bytes] | None = None
    """Change the content of the request."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers that replace the server's."""
    without: tuple[str, ...] = ()
    """Headers of the request that are not forwarded."""


Fault = Callable[[str, str, dict[str, str]], Answer | None]
"""Is told method, path with query, and headers of each request; `None` forwards it."""


@contextmanager
def failing_proxy(server: str, fault: Fault) -> Iterator[str]:
    """The URL of a proxy that forwards to a server, and fails where `fault` says so."""
    proxy = _Proxy(("127.0.0.1", 0), _Handler)
    proxy.target, proxy.fault = urlsplit(server).netloc, fault
    thread = Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{proxy.server_port}"
    finally:
        proxy.shutdown()
        proxy.server_close()
        thread.join()


class _Proxy(ThreadingHTTPServer):
    daemon_threads = True
    target: str
    fault: Fault


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Proxy

    def _forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        answer = self.server.fault(self.command, self.path, dict(self.headers)) or Answer()
        if answer.hang_up:
            self.close_connection = True
        elif answer.status:
            self._reply(answer.status, {"Content-Length": str(len(answer.content))}, answer.content, None)
        else:
            self._ask(answer.change_request(body) if answer.change_request else body, answer)

    def _ask(self, body: bytes, answer: Answer) -> None:
        connection = http.client.HTTPConnection(self.server.target, timeout=30)
        dropped = _HOP_BY_HOP | {name.lower() for name in answer.without}
        headers = {name: value for name, value in self.headers.items() if name.lower() not in dropped}
        connection.request(self.command, self.path, body, headers)
        got = connection.getresponse()
        content = got.read()
        connection.close()
        headers = {name: value for name, value in got.getheaders() if name.lower() not in _HOP_BY_HOP}
        headers |= {"Content-Length": got.getheader("Content-Length") or str(len(content)), **answer.headers}
        self._reply(got.status, headers, answer.change(content) if answer.change else content, answer.cut_after)

    def _reply(self, status: int, headers: dict[str, str], content: bytes, cut_after: int | None) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[:cut_after])
        self.close_connection = cut_after is not None

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _forward  # noqa: N815 - http.server's names

    def log_message(self, *_: object) -> None:
        """Say nothing."""


_HOP_BY_HOP = {"connection", "content-length", "transfer-encoding", "keep-alive", "expect"}
