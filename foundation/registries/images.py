"""What OCI registries hold, asked over HTTP: concurrently, with time-outs and retries.

Sources: OCI distribution specification (pulling), OCI image specification (index, manifest, configuration), and
distribution/distribution, "Token Authentication".

404 is the answer "not there". Everything else that is no image, 401, 403, 429, 5xx and silence, is no answer.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final
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
)
from foundation.errors import CouldNotAskError, NotThereError
from foundation.registries.published import Published, Query
from foundation.registries.reference import DOCKER_HUB, ImageReference, parse_reference

WORKERS: Final = 64
PATIENCE: Final = Patience(connect=10.0, read=30.0, attempts=4, silent_attempts=2, backoff=0.3, retry_after=30)
_INDEXES = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")
_MANIFESTS = ("application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json")
_HUB_HOST = "registry-1.docker.io"


class RegistryClient:
    """A client of any number of registries.

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

    def look_up(self, queries: Collection[Query]) -> dict[Query, Published | None]:
        """What is published for each query, `None` where nothing is.

        Raises `CouldNotAskError` naming every reference that got no answer.
        """
        answers: dict[Query, Published | None] = {}
        problems: set[str] = set()
        with ThreadPoolExecutor(max_workers=WORKERS) as pool:
            pending = {query: pool.submit(self._published, query) for query in dict.fromkeys(queries)}
            for query, future in pending.items():
                try:
                    answers[query] = future.result()
                except (CouldNotAskError, *NoAnswer) as error:
                    problems.add(f"{query.reference}: {self.reason(error)}")
        if problems:
            raise CouldNotAskError("\n".join(["the registry gave no answer", *sorted(problems)]))
        return answers

    def put_index(self, target: str, sources: Collection[str], *, skip_missing: bool = False) -> dict[str, str]:
        """Let the tag `target` point to images of its own repository, one for each architecture.

        `sources` are tags or digests. Returns the digests by architecture. Raises `NotThereError` when a source is not
        there (with `skip_missing`, when none is), `CouldNotAskError` when the registry does not do it.
        """
        reference = parse_reference(target)
        try:
            with ThreadPoolExecutor(max_workers=WORKERS) as pool:
                found = dict(
                    zip(sources, pool.map(lambda source: self._member_of(reference, source), sources), strict=True)
                )
            missing = [source for source, member in found.items() if member is None]
            members = [member for member in found.values() if member is not None]
            if not members or (missing and not skip_missing):
                raise NotThereError(f"{target}: the repository has no {' and no '.join(missing)}")
            _refuse_doubles({source: member for source, member in found.items() if member})
            index = {"schemaVersion": 2, "mediaType": _INDEXES[0], "manifests": members}
            self._put_manifest(reference, json.dumps(index, separators=(",", ":")).encode())
        except (CouldNotAskError, *NoAnswer) as error:
            raise CouldNotAskError(f"{target}: {self.reason(error)}") from None
        return {member["platform"]["architecture"]: member["digest"] for member in members}

    def _member_of(self, reference: ImageReference, source: str) -> dict[str, Any] | None:
        """An image as an index describes it (OCI image specification, "OCI Image Index")."""
        found = self._get(reference, f"manifests/{source}", accept=", ".join(_MANIFESTS))
        if found is None:
            return None
        digest, manifest = _verified(found, source), _mapping(found)
        configuration = self._configuration(reference, manifest)
        platform = {key: configuration[key] for key in ("architecture", "os", "variant") if configuration.get(key)}
        if "architecture" not in platform:
            raise CouldNotAskError(f"{source} says for no architecture")
        media_type = manifest.get("mediaType", _MANIFESTS[0])
        return {"mediaType": media_type, "size": len(found), "digest": digest, "platform": platform}

    def _put_manifest(self, reference: ImageReference, content: bytes) -> None:
        headers = {"Content-Type": _INDEXES[0]}
        response = self.ask(reference, f"manifests/{reference.tag}", headers, method="PUT", content=content)
        if response.status_code not in (200, 201):
            raise CouldNotAskError(f"HTTP {response.status_code} {response.reason or ''}{_detail(response)}".rstrip())

    def _published(self, query: Query) -> Published | None:
        reference = parse_reference(query.reference)
        found = self._manifest(reference, reference.digest or reference.tag or "latest")
        if found is None:
            return None
        digest, manifest = found
        if "manifests" in manifest:
            member = _member(manifest, query.architecture)
            if member is None:
                return None
            found = self._manifest(reference, member)
            if found is None:
                raise CouldNotAskError(f"the index names {member}, which the registry does not have")
            digest, manifest = found
        configuration = self._configuration(reference, manifest)
        inner = configuration.get("config")
        labels = (inner.get("Labels") if isinstance(inner, dict) else None) or {}
        if not isinstance(labels, dict):
            raise CouldNotAskError("the labels are no JSON object")
        return Published(digest, labels, str(configuration.get("architecture", "")))

    def _manifest(self, reference: ImageReference, which: str) -> tuple[str, dict[str, Any]] | None:
        content = self._get(reference, f"manifests/{which}", accept=", ".join((*_INDEXES, *_MANIFESTS)))
        if content is None:
            return None
        return _verified(content, which), _mapping(content)

    def _configuration(self, reference: ImageReference, manifest: Mapping[str, Any]) -> dict[str, Any]:
        descriptor = manifest.get("config")
        digest = descriptor.get("digest") if isinstance(descriptor, dict) else None
        if not isinstance(digest, str):
            raise CouldNotAskError("the answer is no image manifest")
        content = self._get(reference, f"blobs/{digest}", accept="*/*")
        if content is None:
            raise CouldNotAskError(f"the manifest names {digest}, which the registry does not have")
        _verified(content, digest)
        return _mapping(content)

    def _get(self, reference: ImageReference, what: str, accept: str) -> bytes | None:
        """The body of an answer, `None` for 404."""
        response = self.ask(reference, what, {"Accept": accept})
        if response.status_code == 404:
            return None
        if response.status_code != 200:
            raise CouldNotAskError(f"HTTP {response.status_code} {response.reason or ''}{_detail(response)}".rstrip())
        return response.content

    def ask(
        self,
        reference: ImageReference,
        what: str,
        headers: Mapping[str, str],
        *,
        method: str = "GET",
        content: bytes | None = None,
        stream: bool = False,
    ) -> Answer:
        """The answer to a request about a repository, made again with a token when the registry wants one.

        The content of a `stream` is read by the caller. Raises `CouldNotAskError` and `NoAnswer`.
        """
        host = _HUB_HOST if reference.registry == DOCKER_HUB else reference.registry
        url = f"{self._scheme(host)}://{host}/v2/{reference.repository}/{what}"
        # Reading and writing take different tokens.
        scope = f"{method} {host}/{reference.repository}"
        used = self._tokens.get(scope)

        def send(authorization: Authorization | None) -> Answer:
            return self._session.request(
                method,
                url,
                headers=headers,
                data=content,
                auth=authorization,
                stream=stream,
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
        response = self._session.get(realm, params=query, auth=basic)
        if response.status_code != 200:
            raise CouldNotAskError(f"HTTP {response.status_code} from its token service{_detail(response)}")
        answer = _mapping(response.content)
        token = answer.get("token") or answer.get("access_token")
        if not isinstance(token, str):
            raise CouldNotAskError("its token service gave no token")
        return _Bearer(token)

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


def _verified(content: bytes, which: str) -> str:
    """The digest of what came. Raises `CouldNotAskError` when another one was asked for."""
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    if which.startswith("sha256:") and which != digest:
        raise CouldNotAskError(f"asked for {which}, got {digest}")
    return digest


def _refuse_doubles(members: Mapping[str, Mapping[str, Any]]) -> None:
    """Raises `CouldNotAskError` when two images are for one architecture: clients would take either."""
    sources: dict[str, str] = {}
    for source, member in members.items():
        architecture = member["platform"]["architecture"]
        if architecture in sources:
            raise CouldNotAskError(f"{sources[architecture]} and {source} are both for {architecture}")
        sources[architecture] = source


def _member(index: Mapping[str, Any], architecture: str) -> str | None:
    """The digest of the image for an architecture (and Linux) in an index."""
    try:
        for entry in index["manifests"]:
            platform = entry.get("platform") or {}
            if platform.get("architecture") == architecture and platform.get("os", "linux") == "linux":
                return str(entry["digest"])
    except (AttributeError, TypeError, KeyError):
        raise CouldNotAskError("the answer is no image index") from None
    return None


def _mapping(content: bytes) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except ValueError:
        raise CouldNotAskError("the answer is no JSON") from None
    if not isinstance(value, dict):
        raise CouldNotAskError("the answer is no JSON object")
    return value


def _detail(response: Answer) -> str:
    """The registry's own words, if it has some (OCI distribution specification, "Error Codes")."""
    try:
        first = response.json()["errors"][0]
        return f": {first.get('message') or first['code']}"
    except (ValueError, LookupError, TypeError, AttributeError):
        return ""
