"""HTTP to one GitLab server: its token stays there, requests are tried again, nothing secret gets into a message."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookiejar import DefaultCookiePolicy
from typing import Final
from urllib.parse import SplitResult, urlsplit

from foundation.doors.http import Answer, Authorization, HttpSession, Patience, Request
from foundation.doors.streams import Streams

SIGN_IN: Final = "/users/sign_in"
"""The path of GitLab's page for that, below the server's own."""
_TOKEN_HEADERS: Final = ("Authorization", "JOB-TOKEN", "PRIVATE-TOKEN")
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


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
PATIENCE: Final = Patience(connect=60.0, read=60.0, attempts=5, silent_attempts=3, backoff=0.5, retry_after=120)
"""With a GitLab server, which takes its time over large artifacts."""


class Session(HttpSession):
    """A session that sends its token to one origin only, whatever redirects and links of pages say.

    It looks for no other credentials (~/.netrc) and keeps no cookies; proxies and certificates are the environment's.
    """

    def __init__(self, home: str, credential: Credential, patience: Patience, connections: int) -> None:
        super().__init__(patience, connections)
        self._home = urlsplit(home)
        self._header = credential.header
        self.auth = _OnlyAtHome(self._home, credential.header)
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))

    def get_redirect_target(self, resp: Answer) -> str | None:
        """A page that asks people to sign in is no answer; being sent there is a refusal."""
        target: str | None = super().get_redirect_target(resp)
        return target if target and _is_answer(target) else None

    def rebuild_auth(self, prepared_request: Request, response: Answer) -> None:
        """Called for each redirect: an object store is told no token."""
        if not _same_origin(urlsplit(prepared_request.url or ""), self._home):
            for name in _TOKEN_HEADERS:
                prepared_request.headers.pop(name, None)

    def streams(self, authorities: str | None) -> Streams:
        """The same for long answers. `authorities` names a file of the certificates to trust, or the usual ones are."""
        return Streams(self, self._header_for, _is_answer, authorities)

    def _header_for(self, url: str) -> Mapping[str, str]:
        return self._header if _same_origin(urlsplit(url), self._home) else {}


class _OnlyAtHome(Authorization):
    def __init__(self, home: SplitResult, header: Mapping[str, str]) -> None:
        self._home = home
        self._header = header

    def __call__(self, request: Request) -> Request:
        if _same_origin(urlsplit(request.url or ""), self._home):
            request.headers.update(self._header)
        return request


def _is_answer(target: str) -> bool:
    return not urlsplit(target).path.endswith(SIGN_IN)


def _same_origin(one: SplitResult, other: SplitResult) -> bool:
    return _origin(one) == _origin(other)


def _origin(url: SplitResult) -> tuple[str, str | None, int | None]:
    return url.scheme, url.hostname, url.port or _DEFAULT_PORTS.get(url.scheme)
