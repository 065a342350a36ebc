"""HTTP to one GitLab server: its token stays there, requests are tried again, nothing secret gets into a message."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookiejar import DefaultCookiePolicy
from typing import Final
from urllib.parse import SplitResult, urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.util import Retry

_TOKEN_HEADERS: Final = ("Authorization", "JOB-TOKEN", "PRIVATE-TOKEN")
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_TRANSIENT: Final = (429, 500, 502, 503, 504, *range(520, 531))


@dataclass(frozen=True, slots=True)
class Credential:
    """A token as a header, and how messages call it."""

    name: str
    header: Mapping[str, str] = field(repr=False)

    @classmethod
    def of_job(cls, token: str) -> Credential:
        """The token that GitLab gives each job."""
        return cls("the job token", {"JOB-TOKEN": token})

    @classmethod
    def private(cls, token: str) -> Credential:
        """A personal, group or project access token."""
        return cls("the private token", {"Authorization": f"Bearer {token}"})


ANONYMOUS: Final = Credential("nobody in particular", {})


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait, in seconds, and how often to try."""

    timeout: float = 60.0
    """For a connection, and between two pieces of an answer."""
    attempts: int = 5
    backoff: float = 0.5
    """Before the second try; doubled each time."""
    retry_after: int = 120
    """At most this long when the server says how long to wait."""


class Session(requests.Session):
    """A session that sends its token to one origin only, whatever redirects and links of pages say.

    It looks for no other credentials (~/.netrc) and keeps no cookies; proxies and certificates are the environment's.
    """

    def __init__(self, home: str, credential: Credential, patience: Patience, connections: int) -> None:
        super().__init__()
        self._home = urlsplit(home)
        self.auth = _OnlyAtHome(self._home, credential.header)
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        retry = Retry(
            total=patience.attempts - 1,
            read=min(2, patience.attempts - 1),  # silence has lasted long enough by then
            backoff_factor=patience.backoff,
            status_forcelist=_TRANSIENT,
            allowed_methods=("GET",),
            raise_on_status=False,
            retry_after_max=patience.retry_after,
        )
        for scheme in ("http://", "https://"):
            self.mount(scheme, HTTPAdapter(pool_maxsize=connections, max_retries=retry))

    def rebuild_auth(self, prepared_request: requests.PreparedRequest, response: requests.Response) -> None:
        """Called for each redirect: an object store is told no token."""
        if not _same_origin(urlsplit(prepared_request.url or ""), self._home):
            for name in _TOKEN_HEADERS:
                prepared_request.headers.pop(name, None)


class _OnlyAtHome(AuthBase):
    def __init__(self, home: SplitResult, header: Mapping[str, str]) -> None:
        self._home = home
        self._header = header

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if _same_origin(urlsplit(request.url or ""), self._home):
            request.headers.update(self._header)
        return request


def _same_origin(one: SplitResult, other: SplitResult) -> bool:
    return _origin(one) == _origin(other)


def _origin(url: SplitResult) -> tuple[str, str | None, int | None]:
    return url.scheme, url.hostname, url.port or _DEFAULT_PORTS.get(url.scheme)
