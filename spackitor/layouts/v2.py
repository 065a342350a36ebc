"""Layout v2 (`foundation/spack/layout_v2.py`) as entries of an inventory, and how its index is written."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from foundation.errors import DamagedError
from foundation.spack.index import read_index
from foundation.spack.layout_v2 import ARCHIVE, FOLDER, INDEX, INDEX_CHECKSUM, OTHERS, SPEC_FILE
from foundation.spack.releases import Layout
from foundation.stores.store import Content, StoredObject
from spackitor.inventory.inventory import Entry, IndexFile, Orphan
from spackitor.layouts import Write


@dataclass(frozen=True, slots=True)
class SortedV2:
    """The objects of this layout, sorted out."""

    entries: tuple[Entry, ...]
    orphans: tuple[Orphan, ...]
    unrecognised: int
    """How many objects are none of this layout."""


def sort_out(objects: Iterable[StoredObject]) -> SortedV2:
    """Which object belongs to which spec."""
    spec_files: dict[str, list[StoredObject]] = defaultdict(list)
    archives: dict[str, list[StoredObject]] = defaultdict(list)
    unrecognised = 0
    for one in objects:
        if match := SPEC_FILE.fullmatch(one.key):
            spec_files[match[1]].append(one)
        elif match := ARCHIVE.fullmatch(one.key):
            archives[match[1]].append(one)
        elif not OTHERS.fullmatch(one.key):
            unrecognised += 1
    entries = tuple(_entry(hash_, found, archives.get(hash_, [])) for hash_, found in spec_files.items())
    orphans = tuple(
        Orphan(one, "an archive without spec file", hash_)
        for hash_, found in archives.items()
        if hash_ not in spec_files
        for one in found
    )
    return SortedV2(entries, orphans, unrecognised)


def _entry(hash_: str, spec_files: list[StoredObject], archives: list[StoredObject]) -> Entry:
    # Spack looks for the signed one first.
    best = max(spec_files, key=lambda one: (one.key.endswith(".sig"), one.key))
    missing = () if archives else (f"the archive of {best.key.removeprefix(FOLDER)}",)
    return Entry(
        Layout.V2, hash_, tuple(spec_files), tuple(archives), missing, best.key, is_signed=best.key.endswith(".sig")
    )


def index_file(content: Content | None, checksum: Content | None) -> IndexFile:
    """The index. One that cannot be read is told of, not raised; a version that is not known is refused."""
    if content is None:
        return IndexFile(Layout.V2, INDEX, None, None, is_consistent=checksum is None)
    said = checksum.data.decode(errors="replace").strip() if checksum else ""
    fits = said == hashlib.sha256(content.data).hexdigest()
    try:
        return IndexFile(Layout.V2, INDEX, content.tag, read_index(content.data, INDEX), is_consistent=fits)
    except DamagedError as error:
        return IndexFile(Layout.V2, INDEX, content.tag, None, is_consistent=fits, damage=str(error))


def index_writes(file: IndexFile, data: bytes) -> tuple[Write, ...]:
    """How an index is written: the checksum last, so that a client that has the old one looks again."""
    checksum = hashlib.sha256(data).hexdigest().encode()
    return (
        Write(file.key, data, replaces=file.tag, no_cache=True),
        Write(INDEX_CHECKSUM, checksum, no_cache=True),
    )
