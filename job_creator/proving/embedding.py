"""What a SIF file carries, so that it can be proven without a network: the image's manifest and a signed statement."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from foundation.doors.blocks import sha256_of
from foundation.doors.http import NoAnswer
from foundation.errors import CouldNotAskError, NotThereError
from foundation.registries.connections import MANIFESTS, RegistryConnections, mapping, verified
from foundation.registries.reference import parse_reference
from foundation.sif.contents import opened_contents
from foundation.sif.files import add_objects, open_sif
from foundation.sif.headers import NewObject, ObjectKind
from foundation.spack.lockfile import read_lockfile
from job_creator.environments.views import LOCK_PATH
from job_creator.provenance.intoto import sealed
from job_creator.provenance.sif_subjects import IMAGE, STATEMENT, covered, subjects
from job_creator.provenance.statements import canonical, read_canonical
from job_creator.proving.claims import origin_of
from job_creator.proving.package_links import cached_specs, title
from job_creator.proving.papers import PACKAGES, PackagePapers, to_bytes
from job_creator.proving.shelves import CacheShelf, papers_of
from job_creator.publishing.proofs import SitesKeys
from job_creator.publishing.record import PublicationRecord
from job_creator.publishing.sif_file import sign_sif
from job_creator.site.tools import SOURCE_DATE_EPOCH

_LARGEST: Final = 8 << 20

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ImageDocuments:
    """Manifest and configuration of an image, byte for byte: what its digest stands for."""

    name: str
    """Registry and repository."""
    manifest: str
    config: str

    @property
    def digest(self) -> str:
        """`sha256:…` of the manifest."""
        return f"sha256:{hashlib.sha256(self.manifest.encode(errors='replace')).hexdigest()}"

    def to_bytes(self) -> bytes:
        """As a SIF file carries it."""
        return canonical({"name": self.name, "manifest": self.manifest, "config": self.config})

    @classmethod
    def from_bytes(cls, content: bytes) -> ImageDocuments | None:
        """Read what `to_bytes` wrote; `None` for anything else."""
        match read_canonical(content, _LARGEST):
            case {"name": str(name), "manifest": str(manifest), "config": str(config), **rest} if not rest:
                return cls(name, manifest, config)
        return None


def image_documents(client: RegistryConnections, image: str) -> ImageDocuments:
    """What a registry has for an image that is named by its digest.

    Raises `NotThereError`, and `CouldNotAskError` for no answer, or another one than that of the digest.
    """
    found = answered_documents(client, image)
    try:
        verified(found.manifest.encode(), parse_reference(image).digest or "")
        verified(found.config.encode(), config_digest(found.manifest))
    except CouldNotAskError as error:
        raise CouldNotAskError(f"{image}: {error}") from None
    return found


def answered_documents(client: RegistryConnections, image: str) -> ImageDocuments:
    """What the registry answers, whether or not it fits the digests. Raises `NotThereError` and `CouldNotAskError`."""
    reference = parse_reference(image)
    try:
        which = reference.digest or reference.tag
        manifest = client.document(reference, f"manifests/{which}", ", ".join(MANIFESTS))
        if manifest is None:
            raise NotThereError(f"{image}: there is no such image")
        digest = config_digest(manifest.decode())
        config = client.document(reference, f"blobs/{digest}")
        if config is None:
            raise NotThereError(f"{image}: its configuration {digest} is not there")
        return ImageDocuments(f"{reference.registry}/{reference.repository}", manifest.decode(), config.decode())
    except UnicodeDecodeError:
        raise CouldNotAskError(f"{image}: the answer is no UTF-8") from None
    except (CouldNotAskError, *NoAnswer) as error:
        raise CouldNotAskError(f"{image}: {client.reason(error)}") from None


def config_digest(manifest: str) -> str:
    """The digest of the configuration that a manifest names. Raises `CouldNotAskError`."""
    described = mapping(manifest.encode()).get("config")
    digest = described.get("digest") if isinstance(described, dict) else None
    if not isinstance(digest, str):
        raise CouldNotAskError("the answer is no image manifest")
    return digest


def embed(
    path: Path,
    record: PublicationRecord,
    documents: ImageDocuments | None,
    private_key: bytes,
    project_url: str,
    papers: Mapping[str, PackagePapers] | None = None,
) -> None:
    """Put into a SIF file where it comes from, signed. What Apptainer signs after that covers it.

    `papers` are those of its packages, by DAG hash.

    Raises `DamagedError` for what is no SIF file or has a statement already, `RefusedError` if the key cannot sign,
    `FileAccessError` and `CouldNotAskError`.
    """
    inside = [NewObject(ObjectKind.JSON, IMAGE, documents.to_bytes())] if documents else []
    if papers:
        inside.append(NewObject(ObjectKind.GENERIC, PACKAGES, to_bytes(papers)))
    add_objects(path, inside, SOURCE_DATE_EPOCH)
    file = open_sif(path)
    checksums = {one.identifier: sha256_of(file.blocks(one)) for one in covered(file.header)}
    origin = origin_of(record, subjects(file.header, checksums), project_url)
    envelope = sealed(origin, private_key)
    add_objects(path, [NewObject(ObjectKind.JSON, STATEMENT, envelope)], SOURCE_DATE_EPOCH)


@dataclass(frozen=True, slots=True)
class InsideSigner:
    """Puts into SIF files where they come from, and signs that."""

    keys: SitesKeys
    project_url: str
    image: str = ""
    """The repository of the image, if it can be asked with `client`."""
    client: RegistryConnections | None = None
    shelves: tuple[CacheShelf, ...] = ()
    """The build caches that the packages in it are from."""

    def sign(self, path: Path, record: PublicationRecord) -> None:
        """Put a statement into a file, and the signature of Apptainer over all of it.

        Raises what `embed` and `sign_sif` raise, and `NotThereError` if the image is gone.
        """
        documents = None
        if self.client and record.image_digest:
            documents = image_documents(self.client, f"{self.image}@{record.image_digest}")
        embed(path, record, documents, self.keys.private, self.project_url, self._papers(path))
        sign_sif(path, self.keys.private, self.keys.public)

    def _papers(self, path: Path) -> dict[str, PackagePapers]:
        """Those of the packages in a file. What no cache has is told, and left out: `jc verify` says so, too."""
        with opened_contents(open_sif(path)) as contents:
            lock = contents.read(LOCK_PATH)
        if lock is None or not self.shelves:
            return {}
        specs = cached_specs(lock, read_lockfile(lock, LOCK_PATH))
        found, problems = papers_of(specs, self.shelves)
        for problem in problems:
            logger.warning("%s", problem)
        if missing := [title(spec) for spec, _ in specs if spec.hash not in found]:
            logger.warning("%s: no cache has the manifests of %s", path, ", ".join(missing))
        return found
