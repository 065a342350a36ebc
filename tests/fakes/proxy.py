"""A proxy on this machine that knows some names, and hands on what is asked of them."""

from __future__ import annotations

import http.client
from collections.abc import Mapping
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
