"""Answers taken piece by piece straight from urllib3, for where what requests does for each costs more than they do.

For each server it is found out once which proxy leads to it and whose certificates are trusted, by the session that
requests of other kinds go through, so that both always agree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Final
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.utils import requote_uri
from urllib3 import BaseHTTPResponse, HTTPConnectionPool, Timeout
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    MaxRetryError,
    NewConnectionError,
    ProxyError,
    ReadTimeoutError,
    SSLError,
)

from foundation.doors.http import HttpSession

_REDIRECTS: Final = (301, 302, 303, 307, 308)
_MOST_REDIRECTS: Final = 30
_PIECE: Final = 1 << 18
_LONGEST_ERROR: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class _Route:
    """How a server is reached: the connections to it, and what it is asked for in the first line of a request."""

    pool: HTTPConnectionPool
    through_proxy: bool
    """Whether whole URLs are sent: to a proxy, over HTTP."""

    def target(self, url: str) -> str:
        if self.through_proxy:
            return url
        parts = urlsplit(url)
        return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


@dataclass(frozen=True, slots=True)
class StreamedAnswer:
    """The beginning of an answer. Whoever has it takes its pieces, or closes it."""

    status: int
    _raw: BaseHTTPResponse
    _request: requests.PreparedRequest

    def pieces(self) -> Iterator[bytes]:
        """The content as it comes. Raises `NoAnswer` where it breaks off."""
        try:
            while piece := self._raw.read1(_PIECE, decode_content=False):
                yield piece
        except ReadTimeoutError as error:
            raise requests.ConnectionError(error, request=self._request) from None
        except HTTPError as error:
            raise requests.exceptions.ChunkedEncodingError(error, request=self._request) from None
        self._raw.release_conn()

    def beginning(self) -> bytes:
        """What an answer says that is an error, as far as anybody reads it; nothing where it breaks off."""
        found = bytearray()
        try:
            for piece in self.pieces():
                found += piece
                if len(found) > _LONGEST_ERROR:
                    break
        except requests.RequestException:
            return b""
        return bytes(found)

    def close(self) -> None:
        """End the connection, unless all was taken and it waits for the next request."""
        self._raw.close()


@dataclass(frozen=True, slots=True)
class Streams:
    """Asks for what is long, over the routes of a session; may be used by several threads."""

    session: HttpSession
    headers: Callable[[str], Mapping[str, str]]
    """What a URL is shown besides the usual headers; asked again for each redirect."""
    follows: Callable[[str], bool]
    """Whether a redirect to a URL is followed. If not, it is the answer."""
    authorities: str | None = None
    """A file of the certificates to trust, instead of the usual ones."""
    _routes: dict[tuple[str, str], _Route] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def get(self, url: str) -> StreamedAnswer:
        """The answer to a GET, behind redirects. Raises `NoAnswer`."""
        for _ in range(_MOST_REDIRECTS):
            request = requests.PreparedRequest()  # not really prepared, which takes longer than asking
            request.url = url
            answer = self._ask(url, request)
            place = answer.headers.get("Location") if answer.status in _REDIRECTS else None
            target = urljoin(url, requote_uri(place)) if place else None
            if target is None or not self.follows(target):
                return StreamedAnswer(answer.status, answer, request)
            answer.drain_conn()
            answer.release_conn()
            url = target
        raise requests.TooManyRedirects(request=request)

    def _ask(self, url: str, request: requests.PreparedRequest) -> BaseHTTPResponse:
        route = self._route(url)
        patience = self.session.patience
        headers = {"Accept-Encoding": "identity", "User-Agent": str(self.session.headers["User-Agent"])}
        try:
            return route.pool.urlopen(
                "GET",
                route.target(url),
                headers={**headers, **self.headers(url)},
                redirect=False,
                assert_same_host=False,
                preload_content=False,
                decode_content=False,
                retries=self.session.retry,
                timeout=Timeout(connect=patience.connect, read=patience.read),
            )
        except (HTTPError, OSError) as error:
            raise _as_of_requests(error, request) from None

    def _route(self, url: str) -> _Route:
        """Raises `NoAnswer` for a URL that leads nowhere."""
        parts = urlsplit(url)
        origin = (parts.scheme, parts.netloc)
        with self._lock:
            if origin not in self._routes:
                self._routes[origin] = self._new_route(f"{parts.scheme}://{parts.netloc}/")
            return self._routes[origin]

    def _new_route(self, root: str) -> _Route:
        request = requests.Request("GET", root).prepare()
        settings = self.session.merge_environment_settings(root, {}, None, self.authorities or True, None)
        adapter = self.session.get_adapter(root)
        if not isinstance(adapter, HTTPAdapter):
            raise requests.exceptions.InvalidSchema(request=request)
        proxies, verify = settings["proxies"], settings["verify"]
        try:
            pool = adapter.get_connection_with_tls_context(request, verify, proxies=proxies)
            adapter.cert_verify(pool, root, verify, None)  # type: ignore[no-untyped-call]
        except HTTPError as error:
            raise _as_of_requests(error, request) from None
        if not isinstance(pool, HTTPConnectionPool):
            raise requests.exceptions.InvalidSchema(request=request)
        return _Route(pool, adapter.request_url(request, proxies) == root)


def _as_of_requests(error: Exception, request: requests.PreparedRequest) -> requests.RequestException:
    """The exception that requests makes of one of urllib3, so that `reason` finds words for it."""
    cause = error.reason if isinstance(error, MaxRetryError) else error
    match cause:
        case SSLError():
            return requests.exceptions.SSLError(error, request=request)
        case ProxyError():
            return requests.exceptions.ProxyError(error, request=request)
        case ConnectTimeoutError() if not isinstance(cause, NewConnectionError):
            return requests.ConnectTimeout(error, request=request)
        case ReadTimeoutError():
            return requests.ReadTimeout(error, request=request)
        case _:
            return requests.ConnectionError(error, request=request)
