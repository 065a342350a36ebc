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

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase, HTTPBasicAuth
from requests.utils import parse_dict_header
from urllib3.exceptions import HTTPError
from urllib3.util import Retry

from job_creator.adapters.http import reason
from job_creator.containers.published import Published, Query
from job_creator.errors import CouldNotAskError, NotThereError
from job_creator.image_reference import DOCKER_HUB, ImageReference, parse_reference

WORKERS: Final = 64
TIMEOUT_SECONDS: Final = (10.0, 30.0)
"""To connect, and between two bytes of an answer."""
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
        timeout: tuple[float, float] = TIMEOUT_SECONDS,
    ) -> None:
        self._credentials = dict(credentials or {})
        self._insecure = frozenset(insecure)
        self._timeout = timeout
        self._tokens: dict[str, AuthBase] = {}
        self._failures: dict[str, Exception] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()
        self._session = _Session()
        retry = Retry(
            total=3,
            read=1,
            backoff_factor=0.3,
            status_forcelist=(429, 500, 502, 503, 504),
            allowed_methods=("GET", "HEAD", "PUT"),
            raise_on_status=False,
            retry_after_max=30,
        )
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(pool_maxsize=WORKERS, max_retries=retry))

    def reason(self, error: Exception) -> str:
        """Why a registry gave no answer."""
        return str(error) if isinstance(error, CouldNotAskError) else reason(error, *self._timeout)

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
                except (CouldNotAskError, requests.RequestException, HTTPError) as error:
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
        except (CouldNotAskError, requests.RequestException, HTTPError) as error:
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
        if response.status_code not in (requests.codes.ok, requests.codes.created):
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
        if response.status_code == requests.codes.not_found:
            return None
        if response.status_code != requests.codes.ok:
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
    ) -> requests.Response:
        """The answer to a request about a repository, made again with a token when the registry wants one.

        The content of a `stream` is read by the caller. Raises `CouldNotAskError` and what `requests` raises.
        """
        host = _HUB_HOST if reference.registry == DOCKER_HUB else reference.registry
        url = f"{self._scheme(host)}://{host}/v2/{reference.repository}/{what}"
        # Reading and writing take different tokens.
        scope = f"{method} {host}/{reference.repository}"
        used = self._tokens.get(scope)

        def send(authorization: AuthBase) -> requests.Response:
            return self._session.request(
                method,
                url,
                headers=headers,
                data=content,
                auth=authorization,
                timeout=self._timeout,
                stream=stream,
                # For HEAD, this is not what requests does by itself.
                allow_redirects=True,
            )

        response = send(used or _Anonymous())
        # What a redirect led to has no say in where credentials go.
        if response.status_code == requests.codes.unauthorized and not response.history:
            response.close()
            response = send(self._authorization(scope, reference.registry, response, used))
        return response

    def _authorization(self, scope: str, registry: str, refusal: requests.Response, used: AuthBase | None) -> AuthBase:
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
                except (CouldNotAskError, requests.RequestException, HTTPError) as error:
                    self._failures[scope] = error
                    raise
            return self._tokens[scope]

    def _answer(self, refusal: requests.Response, login: tuple[str, str] | None) -> AuthBase:
        kind, _, parameters = refusal.headers.get("WWW-Authenticate", "").partition(" ")
        basic = HTTPBasicAuth(*(word.encode() for word in login)) if login else None
        if kind.lower() == "basic" and basic:
            return basic
        if kind.lower() != "bearer":
            raise CouldNotAskError("HTTP 401: the registry wants a user and password")
        challenge: dict[str, str | None] = parse_dict_header(parameters)  # type: ignore[no-untyped-call]
        realm = challenge.get("realm") or ""
        if not self._is_safe(realm):
            raise CouldNotAskError(f"HTTP 401: its token service {realm!r} is not reached by https")
        query = {key: value for key, value in challenge.items() if key in ("service", "scope") and value}
        response = self._session.get(realm, params=query, auth=basic or _Anonymous(), timeout=self._timeout)
        if response.status_code != requests.codes.ok:
            raise CouldNotAskError(f"HTTP {response.status_code} from its token service{_detail(response)}")
        answer = _mapping(response.content)
        token = answer.get("token") or answer.get("access_token")
        if not isinstance(token, str):
            raise CouldNotAskError("its token service gave no token")
        return _Bearer(token)

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


class _Session(requests.Session):
    """Follows redirects without looking into ~/.netrc."""

    def rebuild_auth(self, prepared_request: requests.PreparedRequest, response: requests.Response) -> None:
        if self.should_strip_auth(response.request.url, prepared_request.url):  # type: ignore[no-untyped-call]
            prepared_request.headers.pop("Authorization", None)


class _Anonymous(AuthBase):
    """No authorization at all; without any, requests would look for one in ~/.netrc."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


class _Bearer(AuthBase):
    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
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


def _detail(response: requests.Response) -> str:
    """The registry's own words, if it has some (OCI distribution specification, "Error Codes")."""
    try:
        first = response.json()["errors"][0]
        return f": {first.get('message') or first['code']}"
    except (ValueError, LookupError, TypeError, AttributeError):
        return ""
