"""Mirrors behind a web server, as consumers see them: what has a known name can be read, nothing can be listed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from threading import Lock
from time import time
from typing import Final, NoReturn
from urllib.parse import quote

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from foundation.doors.http import reason
from foundation.doors.processes import without_credentials
from foundation.errors import CouldNotAskError, NotThereError, RefusedError
from foundation.stores.store import ANYTHING, Content, StoredObject

_CONNECT_SECONDS: Final = 10.0
_READ_SECONDS: Final = 60.0
_WORKERS: Final = 16
_BLOCK: Final = 1 << 20


class HttpStore:
    """A mirror at an HTTP or HTTPS address, to be read only."""

    workers = _WORKERS

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self.url = without_credentials(self._url)
        self.requests: Counter[str] = Counter()
        self._lock = Lock()
        self._session = requests.Session()
        retries = Retry(3, status_forcelist=(429, 500, 502, 503, 504), backoff_factor=0.2, raise_on_status=False)
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(pool_maxsize=_WORKERS, max_retries=retries))

    def now(self) -> float:
        """The time of this machine."""
        return time()

    def look(self, key: str) -> StoredObject | None:
        """What is known of an object without reading it; `None` if there is none. A size of -1 is not known."""
        with self._answer("HEAD", key) as answer:
            if answer is None:
                return None
            headers = answer.headers
            size = int(headers.get("Content-Length", -1)) if "Content-Encoding" not in headers else -1
            modified = (
                parsedate_to_datetime(headers["Last-Modified"]).timestamp() if "Last-Modified" in headers else 0.0
            )
            return StoredObject(key, size, modified, headers.get("ETag", ""))

    def read(self, key: str) -> Content | None:
        """The content of an object; `None` if there is none."""
        with self._answer("GET", key) as answer:
            return None if answer is None else Content(answer.content, answer.headers.get("ETag", ""))

    def stream(self, key: str) -> Iterator[bytes]:
        """The content of an object in pieces."""
        with self._answer("GET", key) as answer:
            if answer is None:
                raise NotThereError(f"{self.url}/{key}: no such object")
            yield from answer.iter_content(_BLOCK)

    @contextmanager
    def _answer(self, method: str, key: str) -> Iterator[requests.Response | None]:
        with self._lock:
            self.requests[method] += 1
        place = f"{self.url}/{key}"
        # What is packed stays packed: a server that unpacks archives on the way would change their checksums.
        headers = {"Accept-Encoding": "identity"}
        try:
            with self._session.request(
                method,
                f"{self._url}/{quote(key)}",
                headers=headers,
                stream=True,
                timeout=(_CONNECT_SECONDS, _READ_SECONDS),
                allow_redirects=True,
            ) as answer:
                if answer.status_code not in (200, 404, 410):
                    raise CouldNotAskError(f"{place}: the server answers {answer.status_code} {answer.reason}")
                yield answer if answer.status_code == 200 else None
        except requests.RequestException as error:
            raise CouldNotAskError(f"{place}: {reason(error, _CONNECT_SECONDS, _READ_SECONDS)}") from None

    def folders(self) -> tuple[str, ...]:
        """Not to be had."""
        self._refuse("listed")

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """Not to be had."""
        self._refuse("listed")

    def require_writable(self, keys: Iterable[str]) -> None:
        """It never is."""
        self._refuse("written")

    def write(self, key: str, data: bytes, *, replaces: str | None = ANYTHING, no_cache: bool = False) -> str:
        """Not to be done."""
        self._refuse("written")

    def copy(self, source: str, target: str, *, as_new: bool = False) -> None:
        """Not to be done."""
        self._refuse("written")

    def delete(self, keys: Iterable[str]) -> Mapping[str, str]:
        """Not to be done."""
        self._refuse("written")

    def _refuse(self, what: str) -> NoReturn:
        raise RefusedError(f"{self.url}: cannot be {what} over HTTP; name its folder or its bucket instead")
