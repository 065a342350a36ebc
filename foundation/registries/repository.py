"""One repository of an OCI registry, to be read: its tags, manifests and blobs.

Source: OCI distribution specification, "Pulling" and "Listing Tags".
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from foundation.doors.http import Answer, NoAnswer
from foundation.errors import CouldNotAskError, NotThereError
from foundation.registries.images import RegistryClient
from foundation.registries.reference import ImageReference, parse_reference
from foundation.stores.documents import json_of
from foundation.stores.schemes import REGISTRY, is_plain_registry, kind_of, split_url

_MANIFESTS: Final = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"
_BLOCK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class TaggedManifest:
    """A manifest as it came, and the digest that the registry says it has (empty if it says none)."""

    data: bytes
    said: str

    @property
    def digest(self) -> str:
        """The digest of its content: `sha256:` and 64 hexadecimal digits."""
        return f"sha256:{hashlib.sha256(self.data).hexdigest()}"


class OciRepository:
    """A repository at `oci://host/repository`. "Not there" is `None`; no answer is a `CouldNotAskError`.

    `credentials` are user and password by registry host.
    """

    workers = 16

    def __init__(self, url: str, credentials: Mapping[str, tuple[str, str]] | None = None) -> None:
        """Raises `ValueError` for a URL that names no repository."""
        self.reference, is_plain = parse_oci_url(url)
        self.url = url.rstrip("/")
        self.time = ""
        """When the registry last answered, by its own clock, as HTTP writes it."""
        self.client = RegistryClient(credentials, insecure={self.reference.registry} if is_plain else ())

    def tags(self, page: int = 1000) -> tuple[str, ...] | None:
        """All tags, asked for in pages; `None` if there is no such repository. Raises `CouldNotAskError`."""
        found: set[str] = set()
        what = f"tags/list?n={page}"
        while what:
            with self._answer("GET", what) as answer:
                if answer is None:
                    return None
                try:
                    more = {*(json_of(self.client.content(answer))["tags"] or ())}
                except (ValueError, KeyError, TypeError):
                    raise CouldNotAskError("the answer is no list of tags") from None
                # Only its query, so that no answer can lead to another host.
                query = urlsplit(answer.links.get("next", {}).get("url", "")).query
                what = f"tags/list?{query}" if query else ""
            if what and more <= found:
                raise CouldNotAskError(f"{self.url}: the list of tags does not end")
            found |= more
        return tuple(sorted(found))

    def manifest(self, which: str, accept: str = _MANIFESTS) -> TaggedManifest | None:
        """What a tag or a digest leads to; of an index, the image for most machines, unless indexes are accepted."""
        with self._answer("GET", f"manifests/{which}", accept) as answer:
            if answer is None:
                return None
            return TaggedManifest(self.client.content(answer), answer.headers.get("Docker-Content-Digest", ""))

    def blob_size(self, digest: str) -> int | None:
        """The size of a blob in bytes, -1 if the registry does not say it."""
        with self._answer("HEAD", f"blobs/{digest}") as answer:
            return None if answer is None else int(answer.headers.get("Content-Length", -1))

    def blob(self, digest: str) -> bytes | None:
        """The content of a small blob."""
        with self._answer("GET", f"blobs/{digest}") as answer:
            return None if answer is None else answer.content

    def stream(self, digest: str) -> Iterator[bytes]:
        """The content of a blob in pieces. Raises `NotThereError`."""
        with self._answer("GET", f"blobs/{digest}") as answer:
            if answer is None:
                raise NotThereError(f"{self.url}: no blob {digest}")
            yield from answer.iter_content(_BLOCK)

    @contextmanager
    def _answer(self, method: str, what: str, accept: str = "*/*") -> Iterator[Answer | None]:
        # What is packed stays packed, and sizes are those of the blobs.
        headers = {"Accept": accept, "Accept-Encoding": "identity"}
        try:
            with self.client.ask(self.reference, what, headers, method=method) as answer:
                self.time = answer.headers.get("Date", "")
                yield _found(answer)
        except CouldNotAskError as error:
            raise CouldNotAskError(f"{self.url}: {error}") from None
        except NoAnswer as error:
            raise CouldNotAskError(f"{self.url}: {self.client.reason(error)}") from None


def parse_oci_url(url: str) -> tuple[ImageReference, bool]:
    """Read `oci://host/repository`: the repository, and whether it is spoken to by plain HTTP. Raises `ValueError`."""
    host, _, name = split_url(url)[1].rstrip("/").partition("/")
    is_repository = kind_of(url) is REGISTRY and name and not {":", "@"} & {*name}
    # Spack writes names in lower case as well.
    reference = parse_reference(f"{host}/{name.lower()}") if is_repository else None
    if reference is None or reference.registry != host:
        raise ValueError(f"{url!r} is no repository of a registry; write oci://host/repository")
    return reference, is_plain_registry(url)


def _found(answer: Answer) -> Answer | None:
    if answer.status_code == 404:
        return None
    if answer.status_code != 200:
        raise CouldNotAskError(f"HTTP {answer.status_code} {answer.reason or ''}".rstrip())
    return answer
