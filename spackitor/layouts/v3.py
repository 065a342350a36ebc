"""Layout v3 (`foundation/spack/layout_v3.py`) as entries of an inventory, and how its index is written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from foundation.errors import DamagedError
from foundation.spack.index import read_index
from foundation.spack.layout_v3 import (
    FOLDER,
    SPEC_MANIFEST,
    SPEC_TYPE,
    SpecManifest,
    index_blob,
    index_objects,
)
from foundation.spack.releases import Layout
from foundation.spack.specs import intern
from foundation.stores.store import Content, StoredObject
from spackitor.inventory.inventory import Entry, IndexFile, Orphan
from spackitor.layouts import Write


@dataclass(frozen=True, slots=True)
class SortedV3:
    """The objects of this layout, sorted out."""

    entries: tuple[Entry, ...]
    orphans: tuple[Orphan, ...]
    used_blobs: frozenset[str]
    has_unreadable_manifests: bool
    unrecognised: int
    """How many objects are none of this layout."""


def sort_out(
    manifests: Iterable[StoredObject], blobs: Iterable[StoredObject], read: Mapping[str, SpecManifest]
) -> SortedV3:
    """Which object belongs to which spec. `read` are the manifests by key."""
    there = {one.key: one for one in blobs}
    entries: list[Entry] = []
    of_specs: set[str] = set()
    of_others: set[str] = set()
    unrecognised = 0
    for one in manifests:
        manifest = read.get(one.key)
        match = SPEC_MANIFEST.fullmatch(one.key)
        if manifest is None:
            unrecognised += one.key != f"{FOLDER}layout.json"
        elif match:
            entries.append(_entry(match[1], one, manifest, there))
            of_specs.update(blob.key for blob in manifest.blobs)
        else:
            of_others.update(blob.key for blob in manifest.blobs)
    orphans = tuple(
        Orphan(one, "a blob that no manifest leads to")
        for key, one in there.items()
        if key not in of_specs and key not in of_others
    )
    unreadable = any(manifest.damage for manifest in read.values())
    return SortedV3(tuple(entries), orphans, frozenset(of_others), unreadable, unrecognised)


def _entry(hash_: str, one: StoredObject, manifest: SpecManifest, there: Mapping[str, StoredObject]) -> Entry:
    spec = manifest.blob(SPEC_TYPE)
    return Entry(
        Layout.V3,
        intern(hash_),
        (one,),
        tuple(there[blob.key] for blob in manifest.blobs if blob.key in there),
        tuple(blob.key for blob in manifest.blobs if blob.key not in there),
        spec.key if spec else "",
        manifest.is_signed,
        manifest.damage or ("" if spec else f"{one.key}: leads to no spec file"),
    )


def index_file(key: str, manifest: SpecManifest, view: str, content: Content | None) -> IndexFile:
    """An index. One that cannot be read is told of, not raised; a version that is not known is refused."""
    blob = index_blob(manifest)
    size = len(content.data) if content else 0
    damage = manifest.damage or ("" if content else f"{key}: leads to {blob or 'nothing'}, which is not there")
    if content and not damage:
        try:
            return IndexFile(Layout.V3, key, manifest.tag, read_index(content.data, blob), view, blob=blob, size=size)
        except DamagedError as error:
            damage = str(error)
    return IndexFile(Layout.V3, key, manifest.tag, None, view, blob=blob, damage=damage, size=size)


def index_writes(file: IndexFile, data: bytes, version: int) -> tuple[Write, ...]:
    """How an index is written: the blob, then the manifest that leads to it, laid out as Spack does."""
    blob, data, manifest = index_objects(data, version)
    return (Write(blob, data), Write(file.key, manifest, replaces=file.tag, no_cache=True))
