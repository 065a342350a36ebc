"""Proxies on this machine: one that hands on what is asked of names that it knows, and one that makes tunnels."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Thread
from urllib.parse import urlencode, urlsplit

from tests.fakes.http import Answer, LoopbackServer, Request


def forwarding_proxy(servers: Mapping[str, str]) -> LoopbackServer:
    """A proxy for HTTP, and the addresses by the names that it knows; what it was asked is in its `requests`."""

    def answer(request: Request) -> Answer:
        target = urlsplit(servers.get(request.headers["host"], ""))
        if not target.hostname:
            return Answer(502)
        connection = http.client.HTTPConnection(target.hostname, target.port, timeout=10)
        try:
            query = urlencode(request.query, doseq=True)
            headers = {name: value for name, value in request.headers.items() if not name.startswith("proxy-")}
            connection.request("GET", request.path + (f"?{query}" if query else ""), headers=headers)
            found = connection.getresponse()
            kept = {name: value for name, value in found.getheaders() if name not in ("Server", "Date")}
            return Answer(found.status, found.read(), kept)
        finally:
            connection.close()

    return LoopbackServer("127.0.0.1", answer)


@dataclass(frozen=True, slots=True)
class Tunnels:
    """A proxy that makes tunnels, and what they led to so far, with what the client said of itself."""

    url: str
    targets: list[tuple[str, str]]


@contextmanager
def tunnelling_proxy(tls: ssl.SSLContext | None = None) -> Iterator[Tunnels]:
    """A proxy for HTTPS, itself reached over TLS if that is given: it sees the places, and nothing else."""
    targets: list[tuple[str, str]] = []

    class Handler(BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError), tls.wrap_socket(self.request, server_side=True) if tls else self.request as client:
                head = b""
                while not head.endswith(b"\r\n\r\n"):
                    head += client.recv(1)
                lines = head.decode().split("\r\n")
                method, place, _ = lines[0].split()
                if method != "CONNECT":
                    client.sendall(b"HTTP/1.1 405 Only tunnels\r\nContent-Length: 0\r\n\r\n")
                    return
                said = [line.partition(": ")[2] for line in lines if line.lower().startswith("proxy-authorization")]
                targets.append((place, "".join(said)))
                host, _, port = place.rpartition(":")
                with socket.create_connection((host, int(port))) as server:
                    client.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
                    back = Thread(target=_hand_on, args=(server, client), daemon=True)
                    back.start()
                    _hand_on(client, server)
                    back.join()

    class Server(ThreadingTCPServer):
        daemon_threads = True
        request_queue_size = 64

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield Tunnels(f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}", targets)
        finally:
            server.shutdown()
            thread.join()


def _hand_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(1 << 16):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)
