"""What a published container says of its build: labels and configuration of its image, lockfile, and its commit.

None of it is held against a signature here (`jc verify` does that): a build from something else makes another image,
and that shows.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from foundation.errors import NotThereError
from foundation.registries.blobs import RegistryBlob
from foundation.registries.images import RegistryClient
from foundation.registries.manifests import value_of
from foundation.sif.contents import opened_contents
from foundation.sif.files import open_sif
from job_creator.environments.views import LOCK_PATH
from job_creator.provenance.intoto import opened
from job_creator.provenance.registry import read_proofs
from job_creator.provenance.sif_subjects import IMAGE, STATEMENT
from job_creator.proving.embedding import ImageDocuments, image_documents
from job_creator.proving.image_facts import labels_of, layers_of
from job_creator.proving.image_links import by_digest, fetched_layer, file_in_layer
from job_creator.proving.sif_links import beside

_BASE_NAME: Final = "org.opencontainers.image.base.name"
_BASE_DIGEST: Final = "org.opencontainers.image.base.digest"
_SOURCE: Final = "org.opencontainers.image.source"
_TITLE: Final = "org.opencontainers.image.title"
_VERSION: Final = "org.opencontainers.image.version"
_SIF_LABELS: Final = "/.singularity.d/labels.json"
"""Where Apptainer keeps the labels of an image."""


@dataclass(frozen=True, slots=True)
class PublishedContainer:
    """A container by what it says of itself; empty where it says nothing."""

    source: str
    """The file or image, as it was named."""
    labels: Mapping[str, str]
    lock: bytes
    platform: str = ""
    config_digest: str = ""
    layers: tuple[str, ...] = ()
    """What its layers are unpacked, `sha256:…`, lowest first."""
    image: str = ""
    """Registry and repository of the image."""
    commit: str = ""
    ref: str = ""
    is_default_branch: bool = False
    architecture: str = ""
    """The site's name of it."""

    @property
    def name(self) -> str:
        """Which container it is."""
        return self.labels.get(_TITLE, "")

    @property
    def version(self) -> str:
        """Its version."""
        return self.labels.get(_VERSION, "")

    @property
    def repository_url(self) -> str:
        """Where the repository is that it was made from."""
        return self.labels.get(_SOURCE, "")

    @property
    def runtime(self) -> str:
        """The image that it is put on, by its digest."""
        return f"{self.labels.get(_BASE_NAME, '')}@{self.labels.get(_BASE_DIGEST, '')}"

    def identity(self, name: str) -> str:
        """What a label of the site says."""
        return next((text for label, text in sorted(self.labels.items()) if label.endswith(f".{name}")), "")


def of_sif(path: Path) -> PublishedContainer:
    """A SIF file, its record beside it, and the statement in it.

    Raises `DamagedError` for what is none, `NotThereError` for one without a lockfile, `InvalidInputError` for a record
    that is none, and `FileAccessError`.
    """
    file = open_sif(path)
    with opened_contents(file) as contents:
        lock = contents.read(LOCK_PATH)
        kept = contents.read(_SIF_LABELS)
    carried = file.named(IMAGE)
    documents = ImageDocuments.from_bytes(carried) if carried else None
    labels = labels_of(documents.config) if documents else _text_mapping(kept or b"{}")
    found = _described(str(path), labels, lock, documents)
    record = beside(path.resolve())
    statement = file.named(STATEMENT)
    origin = opened(statement, None).origin if statement else None
    if record:
        one = record.record
        return replace(
            found,
            commit=one.commit,
            ref=one.ref,
            is_default_branch=one.is_release,
            architecture=one.architecture,
        )
    if origin:
        said = origin.parameters
        return replace(
            found,
            commit=origin.commit,
            ref=str(said.get("ref", "")),
            is_default_branch=said.get("is_default_branch") is True,
            architecture=str(said.get("architecture", "")),
        )
    return found


def of_image(client: RegistryClient, image: str, platform: str, keys: bytes | None) -> PublishedContainer:
    """An image in a registry; with the site's public `keys` also the statement beside it.

    Raises `ValueError` for what is no reference, `NotThereError` for an image that is not there or has no lockfile, and
    `CouldNotAskError`.
    """
    reference = by_digest(client, image, platform)
    documents = image_documents(client, str(reference))
    lock = None
    for layer in reversed(layers_of(documents)):
        with fetched_layer(client, reference, RegistryBlob.described_by(layer)) as stream:
            lock = file_in_layer(stream, LOCK_PATH)
        if lock is not None:
            break
    found = _described(image, labels_of(documents.config), lock, documents)
    if keys is None:
        return found
    witness = read_proofs(client, [str(reference)], keys).witnesses.get(str(reference))
    statement = witness.statement if witness else None
    if statement is None:
        return found
    return replace(
        found,
        commit=statement.commit,
        ref=statement.ref,
        is_default_branch=statement.is_default_branch,
        architecture=statement.architecture,
    )


def _described(
    source: str, labels: Mapping[str, str], lock: bytes | None, documents: ImageDocuments | None
) -> PublishedContainer:
    if lock is None:
        raise NotThereError(f"{source}: has no {LOCK_PATH}: Spack installed nothing in it that could be built again")
    if not labels.get(_TITLE) or not labels.get(_BASE_DIGEST):
        raise NotThereError(f"{source}: its labels do not say which container it is, or on which image it was put")
    if documents is None:
        return PublishedContainer(source, labels, lock)
    config = documents.config.encode(errors="replace")
    value = value_of(config)
    system = value.get("rootfs")
    layers = tuple(map(str, system.get("diff_ids") or ())) if isinstance(system, dict) else ()
    platform = str(value.get("architecture", ""))
    digest = f"sha256:{hashlib.sha256(config).hexdigest()}"
    return PublishedContainer(source, labels, lock, platform, digest, layers, documents.name)


def _text_mapping(content: bytes) -> dict[str, str]:
    try:
        value = json.loads(content)
    except ValueError:
        return {}
    return {str(name): str(text) for name, text in value.items()} if isinstance(value, dict) else {}
