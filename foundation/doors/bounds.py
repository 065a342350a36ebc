"""What servers cannot do to `http`: keep it waiting by a head that does not end, or fill memory with what nobody reads.

urllib3 reads the rest of an answer before it tries again, and requests that of one that redirects, both without an end.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
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


@dataclass(eq=False)
class _Wait:
    """Somebody waits for the head of an answer on a connection."""

    until: float
    stream: Any
    was_ended: bool = False


class _Clock:
    """Ends connections on which a head takes longer than so many seconds.

    The time-out of a socket is for each piece that comes, and a server may send one now and then for ever. One thread
    looks after all connections, since one for each request costs more than the request; it ends when nobody waits.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._waits: dict[_Wait, None] = {}
        """In the order in which they began, which is that in which they are over."""
        self._runs = False

    def within(self, stream: Any, answer: Callable[[], Any]) -> Any:
        """What `answer` gives. Raises `TimeoutError` where that takes longer; the connection has ended then."""
        wait = _Wait(time.monotonic() + self._seconds, stream)
        with self._lock:
            self._waits[wait] = None
            if not self._runs:
                self._runs = True
                threading.Thread(target=self._run, daemon=True).start()
        try:
            found = answer()
        finally:
            with self._lock:
                self._waits.pop(wait, None)
        if wait.was_ended:
            # What is cut off looks like a head that is whole.
            found.close()
            raise TimeoutError
        return found

    def _run(self) -> None:
        while (seconds := self._until_next()) is not None:
            time.sleep(seconds)

    def _until_next(self) -> float | None:
        """End what is over; how many seconds nothing else can be, or that nobody waits."""
        now = time.monotonic()
        with self._lock:
            for wait in list(self._waits):
                if wait.until > now:
                    return wait.until - now
                del self._waits[wait]
                wait.was_ended = True
                # Not a TLS socket's own way, which would take it from under the thread that reads.
                with suppress(OSError):
                    socket.socket.shutdown(wait.stream, socket.SHUT_RDWR)
            self._runs = False
            return None


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
    clock = _Clock(seconds)

    class Plain(HTTPConnection):
        def getresponse(self) -> Any:
            return clock.within(self.sock, super().getresponse)

    class Secure(HTTPSConnection):
        def getresponse(self) -> Any:
            return clock.within(self.sock, super().getresponse)

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
