"""The links of an image in a registry: its signed statement, manifest, configuration, layers, and its lockfile."""

from __future__ import annotations

import hashlib
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import IO, Final

from foundation.doors.http import NoAnswer
from foundation.errors import CouldNotAskError, DamagedError, NotThereError, naming
from foundation.registries.blobs import RegistryBlob, WrongBlobError, fetch_blob
from foundation.registries.connections import INDEXES, MANIFESTS
from foundation.registries.images import RegistryClient
from foundation.registries.manifests import value_of
from foundation.registries.reference import ImageReference, parse_reference
from job_creator.containers.versions import VERSION_LABEL
from job_creator.environments.views import LOCK_PATH
from job_creator.provenance.registry import read_proofs
from job_creator.provenance.statements import Statement
from job_creator.proving.chain import Link, LinkState, broken, holds, unanswered, unchecked
from job_creator.proving.claims import OriginClaims
from job_creator.proving.embedding import ImageDocuments, answered_documents
from job_creator.proving.image_facts import FINGERPRINT, LOCK, config_link, labels_link, labels_of, layers_of, said_by
from job_creator.proving.sif_links import lockfile_link

_NO_KEY: Final = "the site's public key is needed: --key FILE"


@dataclass(frozen=True, slots=True)
class ImageLinks:
    """The links of an image, and its lockfile, if it has one."""

    reference: ImageReference
    """By its digest."""
    links: tuple[Link, ...]
    lock: bytes | None
    about: str = ""
    """Which image it is, as its statement and its labels say."""


def image_links(client: RegistryClient, image: str, architecture: str, keys: bytes | None) -> ImageLinks:
    """Everything that is proven of an image. Its layers are read once.

    Raises `NotThereError` for what is not there, and `CouldNotAskError`.
    """
    reference = by_digest(client, image, architecture)
    statement, link = statement_link(client, reference, keys)
    documents = answered_documents(client, str(reference))
    if documents.digest != reference.digest:
        wrong = broken("manifest", f"has digest {documents.digest}, not {reference.digest}")
        return ImageLinks(reference, (link, wrong), None)
    manifest = holds("manifest", f"has digest {documents.digest}")
    claims = claims_of(documents, statement)
    layers, lock = _layers_link(client, reference, documents)
    links = (link, manifest, config_link(documents), labels_link(documents, claims), layers)
    about = _title(statement, labels_of(documents.config).get(VERSION_LABEL, "")) if statement else ""
    return ImageLinks(reference, (*links, lockfile_link(lock, claims)), lock, about)


def _title(statement: Statement, version: str) -> str:
    said = f"{statement.kind} {statement.name}{f' {version}' if version else ''} for {statement.architecture}"
    return f"{said}, made on {statement.ref or 'no branch'}"


def by_digest(client: RegistryClient, image: str, architecture: str) -> ImageReference:
    """The image by its digest; of an index, the one for an architecture. Raises `NotThereError`, `CouldNotAskError`."""
    reference = parse_reference(image)
    which = reference.digest or reference.tag or ""
    try:
        content = client.document(reference, f"manifests/{which}", ", ".join((*INDEXES, *MANIFESTS)))
    except (CouldNotAskError, *NoAnswer) as error:
        raise CouldNotAskError(f"{image}: {client.reason(error)}") from None
    if content is None:
        raise NotThereError(f"{image}: there is no such image")
    digest = reference.digest or f"sha256:{hashlib.sha256(content).hexdigest()}"
    if "manifests" in value_of(content):
        digest = _member(content, architecture)
        if not digest:
            raise NotThereError(f"{image}: has no image for {architecture}")
    return replace(reference, tag=None, digest=digest)


def _member(index: bytes, architecture: str) -> str:
    for one in value_of(index).get("manifests") or ():
        match one:
            case {"digest": str(digest), "platform": {"architecture": found}} if found == architecture:
                return digest
    return ""


def claims_of(documents: ImageDocuments, statement: Statement | None) -> OriginClaims:
    """What the statement says, or, without one, the image of itself."""
    if statement:
        return OriginClaims(
            fingerprint=statement.fingerprint, image_digest=statement.subject, lock_sha256=statement.lock_sha256
        )
    labels = labels_of(documents.config)
    return OriginClaims(
        fingerprint=said_by(labels, FINGERPRINT), image_digest=documents.digest, lock_sha256=said_by(labels, LOCK)
    )


def statement_link(
    client: RegistryClient, reference: ImageReference, keys: bytes | None
) -> tuple[Statement | None, Link]:
    """The signed statement beside an image, and its link. Raises `CouldNotAskError`."""
    name = "statement"
    if keys is None:
        return None, unchecked(name, _NO_KEY)
    image = f"{reference.registry}/{reference.repository}@{reference.digest}"
    witness = read_proofs(client, [image], keys).witnesses.get(image)
    if witness is None:
        return None, unchecked(name, f"none is signed for {reference.digest}")
    statement = witness.statement
    if witness.reason or statement is None:
        return None, broken(name, witness.reason)
    if statement.subject != reference.digest or statement.name != image.partition("@")[0]:
        return None, broken(name, f"is about {statement.name}@{statement.subject}")
    said = f"{statement.kind} for {statement.architecture}, made on {statement.ref or 'no branch'}"
    return statement, holds(name, f"signed by a key that was given: {said}", proves=True)


def _layers_link(
    client: RegistryClient, reference: ImageReference, documents: ImageDocuments
) -> tuple[Link, bytes | None]:
    """All layers, each read whole, the uppermost first; and the lockfile, out of the uppermost that has it."""
    links: list[Link] = []
    lock: bytes | None = None
    described = layers_of(documents)
    for number, layer in reversed([*enumerate(described, start=1)]):
        name = f"layer {number} of {len(described)}"
        try:
            with fetched_layer(client, reference, RegistryBlob.described_by(layer)) as stream:
                lock = lock if lock is not None else file_in_layer(stream, LOCK_PATH)
        except WrongBlobError as error:
            links.append(broken(name, str(error)))
        except CouldNotAskError as error:
            links.append(unanswered(name, str(error)))
        except DamagedError as error:
            links.append(broken(name, str(error)))
        else:
            links.append(holds(name, f"has digest {layer['digest']}"))
    links.reverse()
    if not links:
        return broken("layers", "the manifest has none"), None
    is_whole = all(one.state is LinkState.HOLDS for one in links)
    return (holds if is_whole else unchecked)("layers", f"{len(links)}, read whole", *links), lock


@contextmanager
def fetched_layer(client: RegistryClient, reference: ImageReference, blob: RegistryBlob) -> Iterator[IO[bytes]]:
    """A layer in a temporary file. Raises `CouldNotAskError`, and `WrongBlobError` if it is another than asked for."""
    with naming(tempfile.gettempdir()), tempfile.TemporaryFile() as stream:
        try:
            fetch_blob(client, reference, blob, stream)
        except NoAnswer as error:
            raise CouldNotAskError(client.reason(error)) from None
        stream.seek(0)
        yield stream


def file_in_layer(stream: IO[bytes], path: str) -> bytes | None:
    """A file in a layer, packed or not; `None` if it has none of that name. Raises `DamagedError`."""
    wanted = path.strip("/")
    try:
        with tarfile.open(fileobj=stream, mode="r|*") as archive:
            for member in archive:
                if member.name.removeprefix("./").strip("/") == wanted and member.isfile():
                    content = archive.extractfile(member)
                    return content.read() if content else None
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        raise DamagedError(f"is no layer: {error}") from None
    return None
