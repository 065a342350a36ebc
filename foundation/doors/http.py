"""The one door to HTTP: sessions with time-outs and retries, and why there was no answer.

No module but this and `streams` imports `requests` or `urllib3`; `tests/unit/test_structure.py` holds that. Buckets
(`stores.s3_client`) and GitLab's API (`get_artifacts.gitlab_api`) have libraries of their own; that for GitLab is given
a session from here.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import requests
from requests.auth import AuthBase, HTTPBasicAuth
from requests.utils import DEFAULT_CA_BUNDLE_PATH, parse_dict_header
from urllib3.exceptions import HTTPError, MaxRetryError, ReadTimeoutError

from foundation.doors.bounds import LARGEST_REST, LONGEST_REST, MOST_REDIRECTS, BoundedAdapter, BoundedRetry, address
from foundation.errors import naming

Answer = requests.Response
Request = requests.PreparedRequest
Authorization = AuthBase
"""Puts a credential into the headers of a request."""
BasicAuthorization = HTTPBasicAuth
NoAnswer: Final = (requests.RequestException, HTTPError)
"""What is raised where no answer comes, or it breaks off. `reason` says it in words."""

_TRANSIENT: Final = (429, 500, 502, 503, 504, *range(520, 531))
"""States of a server that pass; the numbers from 520 on are those of proxies before it."""
_BLOCK: Final = 1 << 16
_REPEATABLE: Final = ("GET", "HEAD", "PUT")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait, in seconds, and how often to try."""

    connect: float = 10.0
    """For a connection."""
    read: float = 60.0
    """Between two pieces of an answer."""
    whole: float = 120.0
    """For the head of an answer, and for all of one that is small."""
    attempts: int = 4
    silent_attempts: int = 4
    """So many of these may end in silence; then it has lasted long enough."""
    backoff: float = 0.3
    """Before the second try; doubled each time."""
    retry_after: int = 120
    """At most this long when the server says how long to wait."""


class HttpSession(requests.Session):
    """Connections to servers, so many to each of them; what fails in passing is tried again.

    Only what a request is given as its authorization is shown to a server, and to no other one that it leads to.
    With `finds_logins`, user and password may stand in the URL or in ~/.netrc as well. Proxies and certificates are the
    environment's. An answer with an error status is an answer; without any, `NoAnswer` is raised.
    """

    def __init__(self, patience: Patience, connections: int, *, finds_logins: bool = False) -> None:
        super().__init__()
        self.patience = patience
        self._finds_logins = finds_logins
        if not finds_logins:
            self.auth = _Anonymous()
        self.max_redirects = MOST_REDIRECTS
        self.retry = BoundedRetry(
            total=patience.attempts - 1,
            read=min(patience.silent_attempts, patience.attempts) - 1,
            backoff_factor=patience.backoff,
            status_forcelist=_TRANSIENT,
            allowed_methods=_REPEATABLE,
            raise_on_status=False,
            retry_after_max=patience.retry_after,
        )
        for start in ("http://", "https://"):
            self.mount(start, BoundedAdapter(patience.whole, pool_maxsize=connections, max_retries=self.retry))

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """Every request passes here. None waits for ever."""
        if options.get("timeout") is None:
            options["timeout"] = (self.patience.connect, self.patience.read)
        return super().send(request, **options)

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Where an answer leads to, if it does; of such an answer no more is read than is small and quick."""
        try:
            target = super().get_redirect_target(resp)
        except UnicodeError:
            resp.close()
            raise requests.exceptions.InvalidURL("redirected to what is no address", request=resp.request) from None
        if target is None:
            return None
        rest = None
        with suppress(*NoAnswer):
            rest = whole_content(resp, LARGEST_REST, replace(self.patience, whole=LONGEST_REST))
        if rest is None:
            resp.close()
        # So that requests does not read it.
        resp._content, resp._content_consumed = b"", True  # type: ignore[attr-defined]
        try:
            return address(target)
        except ValueError:
            resp.close()
            raise requests.exceptions.InvalidURL("redirected to what is no address", request=resp.request) from None

    def rebuild_auth(self, prepared_request: requests.PreparedRequest, response: requests.Response) -> None:
        """Called for each redirect, which takes no credential to another server."""
        if self._finds_logins:
            super().rebuild_auth(prepared_request, response)  # type: ignore[no-untyped-call]
        elif self.should_strip_auth(response.request.url, prepared_request.url):  # type: ignore[no-untyped-call]
            prepared_request.headers.pop("Authorization", None)

    def reason(self, error: Exception) -> str:
        """Why there was no answer to a request of this session."""
        return reason(error, self.patience)


@contextmanager
def authorities_with(path: str) -> Iterator[str]:
    """A file of the certificates that are trusted anyway, and of those in another file. Raises `FileAccessError`."""
    with naming(Path(path)):
        data = Path(path).read_bytes()
    with tempfile.NamedTemporaryFile(prefix="authorities-", suffix=".pem") as file:
        file.write(Path(DEFAULT_CA_BUNDLE_PATH).read_bytes() + b"\n" + data)
        file.flush()
        yield file.name


class _Anonymous(AuthBase):
    """No authorization at all; without any, requests would look for one in ~/.netrc."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


def whole_content(answer: Answer, most: int, patience: Patience) -> bytes | None:
    """The content of an answer that was asked for as a stream, of `most` bytes. Raises `NoAnswer`.

    `None` where it is longer, or is still coming when the patience for all of it is at an end.
    """
    end = time.monotonic() + patience.whole
    content = bytearray()
    while len(content) <= most and time.monotonic() < end:
        try:
            # Not `read`, which waits for as much as it was asked for.
            block = answer.raw.read1(_BLOCK, decode_content=True)
        except ReadTimeoutError as error:
            raise requests.ConnectionError(error, request=answer.request) from None
        except HTTPError as error:
            raise requests.exceptions.ChunkedEncodingError(error, request=answer.request) from None
        if not block:
            return bytes(content)
        content += block
    return None


def challenge(answer: Answer) -> tuple[str, Mapping[str, str | None]]:
    """What a server that answers 401 wants to be shown: the kind, in lower case, and its parameters (RFC 9110)."""
    kind, _, parameters = answer.headers.get("WWW-Authenticate", "").partition(" ")
    found: dict[str, str | None] = parse_dict_header(parameters)  # type: ignore[no-untyped-call]
    return kind.lower(), found


def reason(error: Exception, patience: Patience) -> str:
    """What kept `requests` from an answer, in words without URLs: those of object stores hold signatures."""
    server = _server(error)
    match error:
        case requests.ConnectTimeout():
            return f"no connection within {patience.connect:g} seconds to {server}"
        case requests.RequestException() if _timed_out(error):
            return f"no answer within {patience.read:g} seconds from {server}"
        case requests.exceptions.SSLError():
            return f"the certificate of {server} is not trusted; REQUESTS_CA_BUNDLE may name the file of one that is"
        case requests.exceptions.ChunkedEncodingError() | requests.exceptions.ContentDecodingError():
            return f"the connection to {server} broke off in the middle of the answer"
        case requests.exceptions.ProxyError():
            return f"the proxy does not let {server} be reached"
        case requests.ConnectionError():
            return f"cannot connect to {server}"
        case requests.exceptions.InvalidURL():
            return f"redirected to what is no address by {server}"
        case requests.TooManyRedirects():
            return f"redirected in a circle by {server}"
        case _:
            return type(error).__name__


def _server(error: Exception) -> str:
    """Host and port that were asked: a registry of a default, or the token service that a registry named."""
    request = getattr(error, "request", None)
    return urlsplit(request.url or "").netloc.rpartition("@")[2] if request else "the server"


def _timed_out(error: requests.RequestException) -> bool:
    """requests says "ConnectionError" for a read that timed out at the last retry or within the body."""
    cause = error.args[0] if error.args else None
    found = cause.reason if isinstance(cause, MaxRetryError) else cause
    return isinstance(error, requests.ReadTimeout) or isinstance(found, ReadTimeoutError)
