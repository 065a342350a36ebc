"""A real OCI registry on this machine, the token service in front of it, and images to put into it."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import re
import subprocess
import tarfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address
from pathlib import Path
from secrets import token_hex
from threading import Event, Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from foundation.registries.connections import RegistryConnections
from tests.integration.components import require

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_OCI_PARTS = ("application/vnd.oci.image.config.v1+json", "application/vnd.oci.image.layer.v1.tar+gzip")
_DOCKER_PARTS = (
    "application/vnd.docker.container.image.v1+json",
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
)
PUBLIC = "public/"
"""Repositories below this may be read by anyone."""
GROUP = "group/"
"""Repositories below this belong to the user that the token service knows."""
TLS_ADDRESS = "127.0.0.2"
"""A loopback address, too, though clients only make exceptions for the usual one."""
CERTIFICATE = "certificate.pem"
_START_SECONDS = 20
_HTTP_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Request:
    """What a client sent. Names of headers are in lower case."""

    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    method: str = "GET"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server sends back."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LoopbackServer:
    """A server on a port of this machine, and what it was asked so far."""

    port: int
    requests: list[Request]

    @property
    def host(self) -> str:
        """Host and port, as in an image reference."""
        return f"127.0.0.1:{self.port}"

    @property
    def other_host(self) -> str:
        """The same server under another name, which makes it another host for clients."""
        return f"localhost:{self.port}"


@contextmanager
def serve(answer: Callable[[Request], Answer | None]) -> Iterator[LoopbackServer]:
    """A server that answers GET, HEAD, POST and PUT; for `None` it says nothing until it ends."""
    seen: list[Request] = []
    ending = Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(parts.path, parse_qs(parts.query), headers, self.command)
            seen.append(request)
            found = answer(request)
            if found is None:
                ending.wait()
                return
            self.send_response(found.status)
            for name, value in {"Content-Length": str(len(found.body)), **found.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(found.body if self.command != "HEAD" else b"")

        do_HEAD = do_POST = do_PUT = do_GET  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = False
        request_queue_size = 128

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield LoopbackServer(server.server_port, seen)
        finally:
            ending.set()
            server.shutdown()
            thread.join()


_PASSWORD = f"job-token-{token_hex(8)}-that-nobody-may-see"
"""Its own for each run: tests look for it in lists of processes, which show those of other runs as well."""


@dataclass(frozen=True)
class TokenService:
    """A token service as GitLab has it: basic authentication in, RS256 token with `x5c` out.

    The user may do everything below `GROUP`, everyone may read below `PUBLIC`. Who is known but may not gets a token
    that allows nothing, who is not known an error.
    Source: distribution/distribution, "Token Authentication Implementation".
    """

    user: str = "gitlab-ci-token"
    password: str = _PASSWORD
    issuer: str = "token-service"
    audience: str = "container_registry"

    def answer(self, request: Request) -> Answer:
        """The answer to `GET /jwt/auth`."""
        login = request.headers.get("authorization")
        expected = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        if login not in (None, f"Basic {expected}"):
            return error_answer(401, "UNAUTHORIZED", "HTTP Basic: Access denied")
        # GitLab takes several parameters as well as several words in one (RFC 6749, section 3.3).
        scopes = [scope for given in request.query.get("scope", []) for scope in given.split()]
        access = [granted for scope in scopes for granted in self._granted(scope, known=login is not None)]
        if login is None and not access:
            return error_answer(403, "DENIED", "access forbidden")
        return Answer(body=json.dumps({"token": self._token(access)}).encode())

    def authorization(self, repository: str) -> str:
        """The header with which images can be put into a repository without asking for a token."""
        return f"Bearer {self._token([_access(repository, ['pull', 'push', 'delete'])])}"

    def _granted(self, scope: str, *, known: bool) -> Iterator[dict[str, Any]]:
        _, repository, actions = scope.split(":")
        if known and repository.startswith(GROUP):
            yield _access(repository, actions.split(","))
        elif repository.startswith(PUBLIC) and "pull" in actions.split(","):
            yield _access(repository, ["pull"])

    def _token(self, access: list[dict[str, Any]]) -> str:
        key, certificate = _key_pair()
        now = datetime.now(UTC)
        claims = {
            "iss": self.issuer,
            "sub": self.user,
            "aud": self.audience,
            "iat": now,
            "nbf": now - timedelta(seconds=10),
            "exp": now + timedelta(minutes=5),
            "jti": uuid.uuid4().hex,
            "access": access,
        }
        chain = [base64.b64encode(certificate.public_bytes(serialization.Encoding.DER)).decode()]
        return jwt.encode(claims, key, algorithm="RS256", headers={"x5c": chain})


@dataclass(frozen=True, slots=True)
class Registry:
    """A running registry. It speaks HTTPS where it has a certificate."""

    host: str
    tokens: TokenService | None = None
    token_server: LoopbackServer | None = None
    certificate: Path | None = None

    @property
    def base_url(self) -> str:
        """Where its HTTP API is."""
        return f"{'https' if self.certificate else 'http'}://{self.host}"

    @property
    def credentials(self) -> dict[str, tuple[str, str]]:
        """What a `RegistryClient` has to know."""
        return {self.host: (self.tokens.user, self.tokens.password)} if self.tokens else {}

    def authorization(self, repository: str) -> str | None:
        """The header that lets images be put into a repository."""
        return self.tokens.authorization(repository) if self.tokens else None


@contextmanager
def run_registry(
    folder: Path, tokens: TokenService | None = None, *, tls: bool = False, deletes: bool = True
) -> Iterator[Registry]:
    """A registry that keeps its data in `folder`, open to all or behind a token service.

    Unless it `deletes`, it refuses to.
    With `tls` it is on an address that clients do not know as their own machine, so that they insist on HTTPS.
    """
    program = require("docker-registry")
    address = TLS_ADDRESS if tls else "127.0.0.1"
    with ExitStack() as stack:
        token_server = stack.enter_context(serve(tokens.answer)) if tokens else None
        configuration = {
            "version": "0.1",
            "log": {"level": "info", "accesslog": {"disabled": True}},
            "storage": {
                "filesystem": {"rootdirectory": str(folder / "data")},
                "delete": {"enabled": deletes},
                "maintenance": {"uploadpurging": {"enabled": False}},
            },
            "http": {"addr": f"{address}:0", **({"tls": _tls(folder)} if tls else {})},
            **({"auth": {"token": _token_settings(folder, tokens, token_server)}} if tokens and token_server else {}),
        }
        (folder / "config.yml").write_text(json.dumps(configuration))
        log = folder / "registry.log"
        stream = stack.enter_context(log.open("wb"))
        command = [program, "serve", str(folder / "config.yml")]
        process = stack.enter_context(
            subprocess.Popen(
                command, env={"HOME": str(folder)}, stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT
            )
        )
        stack.callback(process.terminate)
        host = f"{address}:{_port(process, log, address)}"
        yield Registry(host, tokens, token_server, folder / CERTIFICATE if tls else None)


def push_image(
    registry: Registry,
    repository: str,
    tag: str,
    architecture: str,
    labels: Mapping[str, str] | None,
    *,
    docker: bool = False,
    config: Mapping[str, Any] | None = None,
) -> str:
    """Put an image of one tiny layer into a registry, in Docker's format or OCI's. Returns its digest.

    `config` is what its configuration says besides labels: `Env`, `OnBuild`.
    """
    archive = _archive({})
    said = {**(config or {}), **({} if labels is None else {"Labels": dict(labels)})}
    return _push(registry, f"{repository}:{tag}", _configuration(architecture, said, archive), archive, docker=docker)


def push_files(
    registry: Registry, repository: str, tag: str, labels: Mapping[str, str], files: Mapping[str, bytes]
) -> str:
    """Put an image for amd64 with these files into a registry. Returns its digest."""
    archive = _archive(files)
    return _push(registry, f"{repository}:{tag}", _configuration("amd64", {"Labels": dict(labels)}, archive), archive)


def _archive(files: Mapping[str, bytes]) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("empty"))
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return archive.getvalue()


def _configuration(architecture: str, said: Mapping[str, Any], archive: bytes) -> bytes:
    value = {
        "architecture": architecture,
        "os": "linux",
        "config": dict(said),
        "rootfs": {"type": "layers", "diff_ids": [digest_of(archive)]},
        "history": [{"created_by": "test"}],
    }
    return json.dumps(value).encode()


def _push(registry: Registry, reference: str, configuration: bytes, archive: bytes, *, docker: bool = False) -> str:
    repository, _, tag = reference.rpartition(":")
    contents = (configuration, gzip.compress(archive, mtime=0))
    api = _Api(registry, repository)
    config, layer = (
        {"mediaType": media_type, "size": len(content), "digest": api.put_blob(content)}
        for media_type, content in zip(_DOCKER_PARTS if docker else _OCI_PARTS, contents, strict=True)
    )
    return api.put_manifest(tag, DOCKER_MANIFEST if docker else OCI_MANIFEST, config=config, layers=[layer])


def push_index(
    registry: Registry, repository: str, tag: str, members: Mapping[str, str], *, docker: bool = False
) -> str:
    """Put an index into a registry, as OCI's or as Docker's manifest list. Returns its digest.

    `members` are the digests of its images by architecture.
    """
    api = _Api(registry, repository)
    platforms = [(digest, {"architecture": architecture, "os": "linux"}) for architecture, digest in members.items()]
    manifests = [{**api.descriptor(digest), "platform": platform} for digest, platform in platforms]
    return api.put_manifest(tag, DOCKER_INDEX if docker else OCI_INDEX, manifests=manifests)


def read_manifest(registry: Registry, repository: str, reference: str) -> dict[str, Any]:
    """The content of a manifest or index."""
    accept = ", ".join((OCI_INDEX, DOCKER_INDEX, OCI_MANIFEST, DOCKER_MANIFEST))
    response = _Api(registry, repository).send("GET", f"manifests/{reference}", headers={"Accept": accept})
    return dict(response.json())


def read_blob(registry: Registry, repository: str, digest: str) -> bytes:
    """The content of a layer or configuration."""
    return _Api(registry, repository).send("GET", f"blobs/{digest}").content


def delete_manifest(registry: Registry, repository: str, digest: str) -> None:
    """Remove a manifest, whatever refers to it."""
    _Api(registry, repository).send("DELETE", f"manifests/{digest}")


def digest_of(content: bytes) -> str:
    """The digest of a blob or manifest."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def error_answer(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Answer:
    """An error as registries write it (OCI distribution specification, "Error Codes")."""
    body = json.dumps({"errors": [{"code": code, "message": message}]}).encode()
    return Answer(status, body, {"Content-Type": "application/json", **(headers or {})})


@dataclass(frozen=True, slots=True)
class _Api:
    """The HTTP API of one repository."""

    registry: Registry
    repository: str

    def send(
        self,
        method: str,
        what: str,
        *,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
    ) -> requests.Response:
        url = what if what.startswith("http") else f"{self.registry.base_url}/v2/{self.repository}/{what}"
        authorization = self.registry.authorization(self.repository)
        login = {"Authorization": authorization} if authorization else {}
        with requests.Session() as session:
            session.trust_env = False
            session.headers.update({**login, **(headers or {})})
            session.verify = str(self.registry.certificate) if self.registry.certificate else True
            response = session.request(method, url, data=data, params=params, timeout=_HTTP_SECONDS)
        response.raise_for_status()
        return response

    def put_blob(self, content: bytes) -> str:
        digest = digest_of(content)
        place = self.send("POST", "blobs/uploads/").headers["Location"]
        headers = {"Content-Type": "application/octet-stream"}
        self.send("PUT", place, data=content, headers=headers, params={"digest": digest})
        return digest

    def put_manifest(self, reference: str, media_type: str, **content: Any) -> str:
        body = json.dumps({"schemaVersion": 2, "mediaType": media_type, **content}).encode()
        self.send("PUT", f"manifests/{reference}", data=body, headers={"Content-Type": media_type})
        return digest_of(body)

    def descriptor(self, digest: str) -> dict[str, Any]:
        headers = {"Accept": f"{OCI_MANIFEST}, {DOCKER_MANIFEST}"}
        response = self.send("GET", f"manifests/{digest}", headers=headers)
        return {"mediaType": response.headers["Content-Type"], "size": len(response.content), "digest": digest}


def collect_garbage(folder: Path) -> None:
    """Free all blobs that no manifest leads to, and all manifests without a tag, as who runs the registry does."""
    argv = [require("docker-registry"), "garbage-collect", "--delete-untagged", str(folder / "config.yml")]
    subprocess.run(argv, env={"HOME": str(folder)}, check=True, capture_output=True)


def _tls(folder: Path) -> dict[str, str]:
    key, _ = _key_pair()
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return {"certificate": _write_certificate(folder), "key": str(folder / "key.pem")}


def _token_settings(folder: Path, tokens: TokenService, server: LoopbackServer) -> dict[str, str]:
    return {
        "realm": f"http://{server.host}/jwt/auth",
        "service": tokens.audience,
        "issuer": tokens.issuer,
        "rootcertbundle": _write_certificate(folder),
    }


def _write_certificate(folder: Path) -> str:
    (folder / CERTIFICATE).write_bytes(_key_pair()[1].public_bytes(serialization.Encoding.PEM))
    return str(folder / CERTIFICATE)


def _port(process: subprocess.Popen[bytes], log: Path, address: str) -> int:
    """The free port that the registry took, as it says itself."""
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        if found := re.search(rf"listening on {re.escape(address)}:(\d+)", log.read_text()):
            return int(found[1])
        time.sleep(0.02)
    raise RuntimeError(f"the registry did not start: {log.read_text()}")


def _access(repository: str, actions: list[str]) -> dict[str, Any]:
    return {"type": "repository", "name": repository, "actions": actions}


@lru_cache(maxsize=1)
def _key_pair() -> tuple[rsa.RSAPrivateKey, x509.Certificate]:
    """The one key of these tests, for tokens and for TLS, and a certificate that signs itself."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "spacktainers test")])
    now = datetime.now(UTC)
    usage = dict.fromkeys(
        ("content_commitment", "data_encipherment", "key_agreement", "crl_sign", "encipher_only", "decipher_only"),
        False,
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(digital_signature=True, key_encipherment=True, key_cert_sign=True, **usage), critical=True
        )
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address(TLS_ADDRESS))]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return key, certificate


class EndedError(Exception):
    """Stands for the end of the process."""


class EndingConnections(RegistryConnections):
    """Ends after so many requests."""

    def __init__(self, credentials: Mapping[str, tuple[str, str]], left: int) -> None:
        super().__init__(credentials)
        self.left = left

    def ask(self, reference, what, headers, *, method="GET", content=None, also_of=""):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN201
        """Ask, or end."""
        if not self.left:
            raise EndedError
        self.left -= 1
        return super().ask(reference, what, headers, method=method, content=content, also_of=also_of)
