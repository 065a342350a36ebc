"""Requests to OCI registries: with the tokens that they want, and answers of bounded size.

Sources: OCI distribution specification, and distribution/distribution, "Token Authentication".
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Collection, Mapping
from typing import Any, BinaryIO, Final
from urllib.parse import urlsplit

from foundation.doors.http import (
    Answer,
    Authorization,
    BasicAuthorization,
    HttpSession,
    NoAnswer,
    Patience,
    Request,
    challenge,
    whole_content,
)
from foundation.errors import CouldNotAskError
from foundation.registries.reference import DOCKER_HUB, ImageReference

WORKERS: Final = 64
PATIENCE: Final = Patience(connect=10.0, read=30.0, attempts=4, silent_attempts=2, backoff=0.3, retry_after=30)
LARGEST_DOCUMENT: Final = 4 << 20
"""Bytes of a manifest, a configuration or an answer of a token service (OCI distribution specification, "Pushing
Manifests": registries should take manifests of 4 MiB, and may refuse larger ones)."""
INDEXES: Final = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
MANIFESTS: Final = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_HUB_HOST: Final = "registry-1.docker.io"
_KINDS: Final = {"GET": "read", "HEAD": "read", "DELETE": "delete"}


class RegistryConnections:
    """Connections to any number of registries.

    `credentials` are user and password by registry host; they reach that host and the token service that it names,
    nothing else. Plain HTTP is spoken to this machine and to `insecure` hosts only.
    """

    def __init__(
        self,
        credentials: Mapping[str, tuple[str, str]] | None = None,
        insecure: Collection[str] = (),
        patience: Patience = PATIENCE,
    ) -> None:
        self._credentials = dict(credentials or {})
        self._insecure = frozenset(insecure)
        self._tokens: dict[str, Authorization] = {}
        self._failures: dict[str, Exception] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()
        self._session = HttpSession(patience, WORKERS)

    def document(self, reference: ImageReference, what: str, accept: str = "*/*") -> bytes | None:
        """A manifest or a small blob of a repository, `None` for 404. Raises `CouldNotAskError` and `NoAnswer`."""
        with self.ask(reference, what, {"Accept": accept}) as answer:
            if answer.status_code == 404:
                return None
            if answer.status_code != 200:
                raise CouldNotAskError(self.refusal(answer))
            return self.content(answer)

    def configuration(self, reference: ImageReference, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """The configuration of the image that a manifest describes. Raises `CouldNotAskError` and `NoAnswer`."""
        descriptor = manifest.get("config")
        digest = descriptor.get("digest") if isinstance(descriptor, dict) else None
        if not isinstance(digest, str):
            raise CouldNotAskError("the answer is no image manifest")
        content = self.document(reference, f"blobs/{digest}")
        if content is None:
            raise CouldNotAskError(f"the manifest names {digest}, which the registry does not have")
        verified(content, digest)
        return mapping(content)

    def put_manifest(self, reference: ImageReference, media_type: str, content: bytes) -> None:
        """Let the tag of a reference point to a manifest or an index. Raises `CouldNotAskError` and `NoAnswer`."""
        headers = {"Content-Type": media_type}
        with self.ask(reference, f"manifests/{reference.tag}", headers, method="PUT", content=content) as answer:
            if answer.status_code not in (200, 201):
                raise CouldNotAskError(self.refusal(answer))

    def ask(
        self,
        reference: ImageReference,
        what: str,
        headers: Mapping[str, str],
        *,
        method: str = "GET",
        content: bytes | BinaryIO | None = None,
        also_of: str = "",
    ) -> Answer:
        """The answer to a request about a repository, made again with a token when the registry wants one.

        `also_of` is another repository that it is about, which the token has to allow, too. The answer has to be read,
        with `content` where it is small, or closed. Raises `CouldNotAskError` and `NoAnswer`.
        """
        host = _HUB_HOST if reference.registry == DOCKER_HUB else reference.registry
        url = f"{self._scheme(host)}://{host}/v2/{reference.repository}/{what}"
        # Reading, writing and deleting take different tokens.
        scope = f"{_KINDS.get(method, 'write')} {host}/{reference.repository} {also_of}".rstrip()
        used = self._tokens.get(scope)

        def send(authorization: Authorization | None) -> Answer:
            if content is not None and not isinstance(content, bytes):
                content.seek(0)
            return self._session.request(
                method,
                url,
                headers=headers,
                data=content,
                auth=authorization,
                stream=True,
            )

        response = send(used)
        # What a redirect led to has no say in where credentials go.
        if response.status_code == 401 and not response.history:
            response.close()
            response = send(self._authorization(scope, reference.registry, response, used))
        return response

    def _authorization(self, scope: str, registry: str, refusal: Answer, used: Authorization | None) -> Authorization:
        """What the registry's challenge asks for; one token serves all threads that ask about a repository.

        A token that was `used` in vain is replaced. A login that failed is not tried again: GitLab would ban us.
        """
        with self._lock:
            lock = self._locks.setdefault(scope, threading.Lock())
        with lock:
            if scope in self._failures:
                raise self._failures[scope]
            if self._tokens.get(scope) is used:
                try:
                    self._tokens[scope] = self._answer(refusal, self._credentials.get(registry))
                except (CouldNotAskError, *NoAnswer) as error:
                    self._failures[scope] = error
                    raise
            return self._tokens[scope]

    def _answer(self, refusal: Answer, login: tuple[str, str] | None) -> Authorization:
        kind, parameters = challenge(refusal)
        basic = BasicAuthorization(*(word.encode() for word in login)) if login else None
        if kind == "basic" and basic:
            return basic
        if kind != "bearer":
            raise CouldNotAskError("HTTP 401: the registry wants a user and password")
        realm = parameters.get("realm") or ""
        if not self._is_safe(realm):
            raise CouldNotAskError(f"HTTP 401: its token service {realm!r} is not reached by https")
        query = {key: value for key, value in parameters.items() if key in ("service", "scope") and value}
        with self._session.get(realm, params=query, auth=basic, stream=True) as response:
            content = self.content(response)
        if response.status_code != 200:
            raise CouldNotAskError(f"HTTP {response.status_code} from its token service{_detail(content)}")
        answer = mapping(content)
        token = answer.get("token") or answer.get("access_token")
        if not isinstance(token, str):
            raise CouldNotAskError("its token service gave no token")
        return _Bearer(token)

    def content(self, answer: Answer) -> bytes:
        """The content of a small answer. Raises `CouldNotAskError` for one that does not end, and `NoAnswer`."""
        content = whole_content(answer, LARGEST_DOCUMENT, self._session.patience)
        if content is None:
            raise CouldNotAskError(f"the answer is larger than {LARGEST_DOCUMENT >> 20} MiB, or takes too long")
        return content

    def refusal(self, answer: Answer) -> str:
        """What an answer with an error status says, with the registry's own words if it has some. Raises `NoAnswer`."""
        content = whole_content(answer, LARGEST_DOCUMENT, self._session.patience) or b""
        return f"HTTP {answer.status_code} {answer.reason or ''}{_detail(content)}".rstrip()

    def reason(self, error: Exception) -> str:
        """Why there was no answer, for messages."""
        return str(error) if isinstance(error, CouldNotAskError) else self._session.reason(error)

    def _is_safe(self, url: str) -> bool:
        try:
            parts = urlsplit(url)
        except ValueError:
            return False
        return parts.scheme == "https" or (parts.scheme == "http" and self._may_be_plain(parts.netloc))

    def _scheme(self, host: str) -> str:
        return "http" if self._may_be_plain(host) else "https"

    def _may_be_plain(self, host: str) -> bool:
        return host in self._insecure or urlsplit(f"//{host}").hostname in ("localhost", "127.0.0.1", "::1")


class _Bearer(Authorization):
    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: Request) -> Request:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def verified(content: bytes, which: str) -> str:
    """The digest of what came. Raises `CouldNotAskError` when another one was asked for."""
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    algorithm, is_digest, _ = which.partition(":")
    if is_digest and algorithm != "sha256":
        raise CouldNotAskError(f"{which} is no sha256 checksum, and cannot be verified")
    if is_digest and which != digest:
        raise CouldNotAskError(f"asked for {which}, got {digest}")
    return digest


def mapping(content: bytes) -> dict[str, Any]:
    """A JSON object. Raises `CouldNotAskError`."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        raise CouldNotAskError("the answer is no JSON") from None
    if not isinstance(value, dict):
        raise CouldNotAskError("the answer is no JSON object")
    return value


def _detail(content: bytes) -> str:
    """The registry's own words, if it has some (OCI distribution specification, "Error Codes")."""
    try:
        first = json.loads(content)["errors"][0]
        return f": {first.get('message') or first['code']}"
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return ""
