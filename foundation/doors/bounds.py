"""What servers cannot do to `http`: keep it waiting by a head that does not end, or fill memory with what nobody reads.

urllib3 reads the rest of an answer before it tries again, and requests that of one that redirects, both without an end.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final
from urllib.parse import urlsplit

from requests.adapters import HTTPAdapter
from urllib3 import BaseHTTPResponse, HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import InvalidHeader
from urllib3.util import Retry

MOST_REDIRECTS: Final = 10
LARGEST_REST: Final = 1 << 16
"""Bytes of a body that are read only so that the connection can be used again."""
LONGEST_REST: Final = 1.0
"""Seconds that this may take."""


def _within(seconds: float, stream: Any, answer: Callable[[], Any]) -> Any:
    """What `answer` gives; ends the connection where that takes longer, and raises `TimeoutError`.

    The time-out of a socket is for each piece that comes, and a server may send one now and then for ever.
    """
    ended = threading.Event()

    def end() -> None:
        ended.set()
        # Not a TLS socket's own way, which would take it from under the thread that reads.
        with suppress(OSError):
            socket.socket.shutdown(stream, socket.SHUT_RDWR)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        found = answer()
    finally:
        timer.cancel()
    if ended.is_set():
        # What is cut off looks like a head that is whole.
        found.close()
        raise TimeoutError
    return found


class BoundedAdapter(HTTPAdapter):
    """Its connections wait so many seconds for the head of an answer, with all interim ones."""

    def __init__(self, seconds: float, **options: Any) -> None:
        self._pools = _pools(seconds)
        super().__init__(**options)

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        """For requests without a proxy."""
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, *arguments: Any, **options: Any) -> PoolManager:
        """For those by one."""
        manager: PoolManager = super().proxy_manager_for(*arguments, **options)
        manager.pool_classes_by_scheme = self._pools
        return manager


def _pools(seconds: float) -> dict[str, Any]:
    class Plain(HTTPConnection):
        def getresponse(self) -> Any:
            return _within(seconds, self.sock, super().getresponse)

    class Secure(HTTPSConnection):
        def getresponse(self) -> Any:
            return _within(seconds, self.sock, super().getresponse)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}


class BoundedRetry(Retry):
    """Waits as always where a server says what is no time to wait, and reads nothing of what it does not take."""

    def get_retry_after(self, response: BaseHTTPResponse) -> float | None:
        """In seconds; `None` where nothing usable is said."""
        try:
            return super().get_retry_after(response)
        except InvalidHeader:
            return None

    def increment(  # noqa: D102 - as there
        self, method: Any = None, url: Any = None, response: BaseHTTPResponse | None = None, *others: Any, **named: Any
    ) -> Any:
        left = super().increment(method, url, response, *others, **named)
        if response is not None:
            response.close()
        return left


def address(target: str) -> str:
    """Where an answer leads to. Raises `ValueError` for what is no address."""
    parts = urlsplit(target)
    _ = parts.hostname, parts.port
    return target
