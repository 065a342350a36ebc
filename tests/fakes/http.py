"""A server on this machine that answers GET, POST and PUT as a function says, and can break off or fall silent."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True, slots=True)
class Request:
    """What a client sent. Names of headers are in lower case."""

    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    method: str = "GET"
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent back; a path stands for the content of that file."""

    status: int = 200
    body: bytes | Path = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut_after: int | None = None
    """How much of the body is sent before the connection breaks,"""
    hangs: bool = False
    """or before nothing more comes."""


def json_answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """An answer in JSON."""
    return Answer(status, json.dumps(value).encode(), {"Content-Type": "application/json", **(headers or {})})


SILENCE: Final = Answer(status=0)
"""No answer at all, until the server ends."""
HANG_UP: Final = Answer(status=0, hangs=True)
"""No answer either; the connection ends at once."""


@dataclass(frozen=True, slots=True)
class Cut:
    """The right answer, but only so many bytes of it; then the connection breaks, or nothing more comes."""

    after: int
    hangs: bool = False


class _Server(ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True


class LoopbackServer:
    """A server on a port of this machine, and what it was asked so far."""

    def __init__(self, host: str, answer: Callable[[Request], Answer], tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[Request] = []
        self._ending = Event()
        seen, ending = self.requests, self._ending

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                headers = {name.lower(): value for name, value in self.headers.items()}
                body = self.rfile.read(int(headers.get("content-length", "0")))
                request = Request(parts.path, parse_qs(parts.query), headers, self.command, body)
                seen.append(request)
                found = answer(request)
                if found is SILENCE or found is HANG_UP:
                    self.close_connection = True
                    ending.wait(0 if found is HANG_UP else None)
                    return
                size = found.body.stat().st_size if isinstance(found.body, Path) else len(found.body)
                self.send_response(found.status)
                for name, value in {"Content-Length": str(size), **found.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                try:
                    self._send(found)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True

            do_POST = do_PUT = do_GET  # noqa: N815 - names of the standard library

            def _send(self, found: Answer) -> None:
                self.close_connection = self.close_connection or found.cut_after is not None
                if isinstance(found.body, Path):
                    with found.body.open("rb") as stream:
                        self.connection.sendfile(stream, count=found.cut_after)
                else:
                    self.wfile.write(found.body[: found.cut_after])
                if found.hangs:
                    ending.wait()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                """Say nothing."""

        self._server = _Server(("127.0.0.1", 0), Handler)
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.url = f"{'https' if tls else 'http'}://{host}:{self._server.server_port}"
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    def __enter__(self) -> LoopbackServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
