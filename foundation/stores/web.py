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

from foundation.doors.http import Answer, HttpSession, NoAnswer, Patience
from foundation.doors.processes import without_credentials
from foundation.errors import CouldNotAskError, NotThereError, RefusedError
from foundation.stores.store import ANYTHING, Content, StoredObject

_PATIENCE: Final = Patience(connect=10.0, read=60.0, attempts=4, backoff=0.2)
_WORKERS: Final = 16
_BLOCK: Final = 1 << 20


class HttpStore:
    """A mirror at an HTTP or HTTPS address, to be read only."""

    workers = _WORKERS
    can_be_listed = False

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self.url = without_credentials(self._url)
        self.requests: Counter[str] = Counter()
        self._lock = Lock()
        self._session = HttpSession(_PATIENCE, _WORKERS, finds_logins=True)

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
        """The content of an object in pieces. Raises `NotThereError` and `CouldNotAskError`."""
        with self._answer("GET", key) as answer:
            if answer is None:
                raise NotThereError(f"{self.url}/{key}: no such object")
            yield from answer.iter_content(_BLOCK)

    @contextmanager
    def _answer(self, method: str, key: str) -> Iterator[Answer | None]:
        with self._lock:
            self.requests[method] += 1
        place = f"{self.url}/{key}"
        # What is packed stays packed: a server that unpacks archives on the way would change their checksums.
        headers = {"Accept-Encoding": "identity"}
        try:
            with self._session.request(method, f"{self._url}/{quote(key)}", headers=headers, stream=True) as answer:
                if answer.status_code not in (200, 404, 410):
                    raise CouldNotAskError(f"{place}: the server answers {answer.status_code} {answer.reason}")
                yield answer if answer.status_code == 200 else None
        except NoAnswer as error:
            raise CouldNotAskError(f"{place}: {self._session.reason(error)}") from None

    def folders(self) -> tuple[str, ...]:
        """Raise `RefusedError`: web servers do not list what they have."""
        self._refuse("listed")

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """Raise `RefusedError`: web servers do not list what they have."""
        self._refuse("listed")

    def require_writable(self, keys: Iterable[str]) -> None:
        """Raise `RefusedError`: nothing can be written over HTTP."""
        self._refuse("written")

    def write(self, key: str, data: bytes, *, replaces: str | None = ANYTHING, no_cache: bool = False) -> str:
        """Raise `RefusedError`: nothing can be written over HTTP."""
        self._refuse("written")

    def copy(self, source: str, target: str, *, as_new: bool = False) -> None:
        """Raise `RefusedError`: nothing can be written over HTTP."""
        self._refuse("written")

    def delete(self, keys: Iterable[str]) -> Mapping[str, str]:
        """Raise `RefusedError`: nothing can be written over HTTP."""
        self._refuse("written")

    def keeps_versions(self) -> bool:
        """Nothing is deleted over HTTP."""
        return False

    def _refuse(self, what: str) -> NoReturn:
        raise RefusedError(f"{self.url}: cannot be {what} over HTTP; name its folder or its bucket instead")
