"""Bills of materials of SIF files, images and lockfiles, as documents; and where they are put."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Final

from foundation.doors.files import read_file
from foundation.errors import DamagedError, naming
from foundation.registries.artifacts import put_referrer
from foundation.registries.blobs import RegistryBlob
from foundation.registries.images import RegistryClient
from foundation.registries.reference import parse_reference
from foundation.sif.contents import opened_contents
from foundation.sif.files import add_objects, open_sif
from foundation.sif.headers import NewObject, ObjectKind
from job_creator.containers.versions import TITLE_LABEL, VERSION_LABEL
from job_creator.proving.embedding import image_documents
from job_creator.proving.image_facts import labels_of, layers_of
from job_creator.proving.image_links import by_digest, fetched_layer
from job_creator.sbom import cyclonedx, spdx
from job_creator.sbom.components import Bom
from job_creator.sbom.gathering import BomRequest, bom_of_container, bom_of_lockfile
from job_creator.sbom.layers import files_of
from job_creator.site.tools import SOURCE_DATE_EPOCH

_CREATED: Final = f"{datetime.fromtimestamp(SOURCE_DATE_EPOCH, UTC):%Y-%m-%dT%H:%M:%SZ}"
CYCLONEDX: Final = "spacktainers.cdx.json"
SPDX: Final = "spacktainers.spdx.json"
"""The names of the objects of a SIF file."""
_FORMATS: Final = {CYCLONEDX: struct.pack("<i", 1), SPDX: struct.pack("<i", 4)}
"""`SBOMFormatCycloneDXJSON` and `SBOMFormatSPDXJSON` of Apptainer's library (`pkg/sif`)."""


@dataclass(frozen=True, slots=True)
class BomDocuments:
    """The same bill of materials in both standards."""

    cyclonedx: bytes
    spdx: bytes

    def files(self, stem: str) -> Mapping[str, bytes]:
        """The documents by the names of files."""
        return {f"{stem}{cyclonedx.SUFFIX}": self.cyclonedx, f"{stem}{spdx.SUFFIX}": self.spdx}


def written(bom: Bom) -> BomDocuments:
    """A bill of materials as documents. They say no time, so that the same container always has the same."""
    return BomDocuments(cyclonedx.to_cyclonedx(bom, _CREATED), spdx.to_spdx(bom, _CREATED))


def bom_of_sif(path: Path, asked: BomRequest) -> Bom:
    """What is in a SIF file. Raises `DamagedError`, `InvalidInputError` and `FileAccessError`."""
    with opened_contents(open_sif(path)) as contents:
        return bom_of_container(contents, asked, _sha256)


def bom_of_image(client: RegistryClient, image: str, architecture: str, asked: BomRequest) -> Bom:
    """What is in an image; its layers are read. Raises `NotThereError`, `DamagedError` and `CouldNotAskError`."""
    reference = by_digest(client, image, architecture)
    documents = image_documents(client, str(reference))
    described, labels = layers_of(documents), labels_of(documents.config)

    def layers() -> Iterator[IO[bytes]]:
        for layer in reversed(described):
            with ExitStack() as stack:
                yield stack.enter_context(fetched_layer(client, reference, RegistryBlob.described_by(layer)))

    named = replace(
        asked,
        name=labels.get(TITLE_LABEL, asked.name),
        version=labels.get(VERSION_LABEL, asked.version),
        facts={**asked.facts, "image": str(reference.digest)},
    )
    return bom_of_container(files_of(layers()), named, _sha256)


def bom_of_lock(path: Path, asked: BomRequest) -> Bom:
    """What a lockfile installs. Raises `InvalidInputError` and `FileAccessError`."""
    lock = read_file(path)
    facts = {**asked.facts, "lockfile sha256": _sha256(lock)}
    return bom_of_lockfile(lock, str(path), replace(asked, facts=facts))


def recipes_in(folders: Iterable[Path]) -> Callable[[str], str | None]:
    """What gives the recipe of a package, out of repositories of this machine; it raises `FileAccessError`.

    It is that of the first one that has it.

    A repository of Spack's API 2 calls a folder `zlib_ng` where the package is `zlib-ng`, and `_3dtk` for `3dtk`.
    """
    every = [*folders]

    def recipe_of(name: str) -> str | None:
        flat = name.replace("-", "_")
        places = (folder / "packages" / one / "package.py" for folder in every for one in (name, flat, f"_{flat}"))
        path = next((place for place in places if place.is_file()), None)
        if path is None:
            return None
        with naming(path):
            return path.read_text(encoding="utf-8", errors="replace")

    return recipe_of


def documents_in(path: Path) -> Mapping[str, bytes]:
    """The documents in a SIF file, by the suffixes that they have beside one; none where there are none."""
    try:
        file = open_sif(path)
    except DamagedError:
        return {}
    found = {suffix: file.named(name) for name, suffix in ((CYCLONEDX, cyclonedx.SUFFIX), (SPDX, spdx.SUFFIX))}
    return {suffix: content for suffix, content in found.items() if content is not None}


def add_to_sif(path: Path, documents: BomDocuments) -> None:
    """Put both documents into a SIF file. Raises `DamagedError`, also where it has them, and `FileAccessError`."""
    contents = {CYCLONEDX: documents.cyclonedx, SPDX: documents.spdx}
    new = [NewObject(ObjectKind.SBOM, name, content, _FORMATS[name]) for name, content in contents.items()]
    add_objects(path, new, SOURCE_DATE_EPOCH)


def attach_to_image(client: RegistryClient, image: str, documents: BomDocuments) -> None:
    """Lay both documents beside an image that is named by its digest. Raises `NotThereError`, `CouldNotAskError`."""
    reference = parse_reference(image)
    for media_type, content in ((cyclonedx.MEDIA_TYPE, documents.cyclonedx), (spdx.MEDIA_TYPE, documents.spdx)):
        put_referrer(client, reference, media_type, content)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
