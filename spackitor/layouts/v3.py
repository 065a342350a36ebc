"""Layout v3: `v3/manifests/` and `blobs/`, written by Spack since 1.0.

    v3/manifests/spec/<name>/<name>-<version>-<hash>.spec.manifest.json
    v3/manifests/index/[<view>/]index.manifest.json
    v3/manifests/key/<fingerprint>.key.manifest.json, v3/manifests/key/keys.manifest.json
    blobs/<algorithm>/<first two digits>/<checksum>

Blobs are named after their content, so several manifests may share one.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from job_creator.errors import DamagedError, RefusedError
from spackitor.index import read_index
from spackitor.inventory import Entry, IndexFile, Layout, Orphan
from spackitor.layouts import Write
from spackitor.mirror import Content, StoredObject
from spackitor.specs import intern, is_signed, read_signed_json

FOLDER: Final = "v3/"
BLOBS: Final = "blobs/"
MANIFESTS: Final = f"{FOLDER}manifests/"
INDEX: Final = f"{MANIFESTS}index/index.manifest.json"
INDEXES: Final = f"{MANIFESTS}index/"
_SPEC_MANIFEST: Final = re.compile(rf"{MANIFESTS}spec/[^/]+/[^/]+-([a-z2-7]{{32}})\.spec\.manifest\.json")
_INDEX_MANIFEST: Final = re.compile(rf"{MANIFESTS}index/((?P<view>.+)/)?index\.manifest\.json")
_SPEC_TYPE: Final = "application/vnd.spack.spec."
_INDEX_TYPE: Final = "application/vnd.spack.db."
_VERSION: Final = 3


@dataclass(frozen=True, slots=True)
class Blob:
    """What a manifest says of a blob: its key in the mirror, its media type and its size in bytes."""

    key: str
    media_type: str
    size: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest that had this tag; `damage` says why it could not be read."""

    tag: str
    is_signed: bool
    blobs: tuple[Blob, ...]
    damage: str = ""

    def blob(self, media_type: str) -> Blob | None:
        """The first blob whose media type starts like this; the number at the end changes with the format."""
        return next((one for one in self.blobs if one.media_type.startswith(media_type)), None)


def read_manifest(content: Content, key: str) -> Manifest:
    """Read a manifest, signed or not. Raises `RefusedError` for a version that is not known."""
    signed = is_signed(content.data)
    try:
        value = read_signed_json(content.data, key)
        version = value["version"]
        blobs = tuple(_blob(one) for one in value["data"]) if version == _VERSION else ()
    except (DamagedError, KeyError, TypeError, AttributeError, ValueError) as error:
        reason = str(error) if isinstance(error, DamagedError) else f"{key}: not laid out like a manifest"
        return Manifest(content.tag, signed, (), reason)
    if version != _VERSION:
        raise RefusedError(f"{key}: manifest version {version!r} is not known (known is 3); nothing is changed")
    return Manifest(content.tag, signed, blobs)


def _blob(record: Mapping[str, Any]) -> Blob:
    algorithm, checksum = record["checksumAlgorithm"], record["checksum"]
    key = f"{BLOBS}{algorithm}/{checksum[:2]}/{checksum}"
    return Blob(key, intern(record["mediaType"]), int(record["contentLength"]))


@dataclass(frozen=True, slots=True)
class Sorted:
    """The objects of this layout, sorted out."""

    entries: tuple[Entry, ...]
    orphans: tuple[Orphan, ...]
    used_blobs: frozenset[str]
    has_unreadable_manifests: bool
    unrecognised: int


def is_manifest(key: str) -> bool:
    """Whether Spack takes this for a manifest."""
    return key.startswith(MANIFESTS) and key.endswith(".manifest.json")


def sort_out(manifests: Iterable[StoredObject], blobs: Iterable[StoredObject], read: Mapping[str, Manifest]) -> Sorted:
    """Which object belongs to which spec. `read` are the manifests by key."""
    there = {one.key: one for one in blobs}
    entries: list[Entry] = []
    of_specs: set[str] = set()
    of_others: set[str] = set()
    unrecognised = 0
    for one in manifests:
        manifest = read.get(one.key)
        match = _SPEC_MANIFEST.fullmatch(one.key)
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
    return Sorted(tuple(entries), orphans, frozenset(of_others), unreadable, unrecognised)


def _entry(hash_: str, one: StoredObject, manifest: Manifest, there: Mapping[str, StoredObject]) -> Entry:
    spec = manifest.blob(_SPEC_TYPE)
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


def index_manifests(read: Mapping[str, Manifest]) -> dict[str, str]:
    """The manifests of indexes by key, with the names of their views (empty for the main one)."""
    matches = {key: _INDEX_MANIFEST.fullmatch(key) for key in read}
    return {key: match["view"] or "" for key, match in matches.items() if match}


def spec_blob(manifest: Manifest) -> Blob | None:
    """The spec file that a manifest leads to."""
    return manifest.blob(_SPEC_TYPE)


def index_blob(manifest: Manifest) -> str:
    """The key of the index that a manifest leads to; empty if it leads to none."""
    blob = manifest.blob(_INDEX_TYPE)
    return blob.key if blob else ""


def index_file(key: str, manifest: Manifest, view: str, content: Content | None) -> IndexFile:
    """An index. One that cannot be read is told of, not raised; a version that is not known is refused."""
    blob = index_blob(manifest)
    damage = manifest.damage or ("" if content else f"{key}: leads to {blob or 'nothing'}, which is not there")
    if content and not damage:
        try:
            return IndexFile(Layout.V3, key, manifest.tag, read_index(content.data, blob), view, blob=blob)
        except DamagedError as error:
            damage = str(error)
    return IndexFile(Layout.V3, key, manifest.tag, None, view, blob=blob, damage=damage)


def index_writes(file: IndexFile, data: bytes, version: int) -> tuple[Write, ...]:
    """How an index is written: the blob, then the manifest that leads to it, laid out as Spack does."""
    checksum = hashlib.sha256(data).hexdigest()
    record = {
        "contentLength": len(data),
        "mediaType": f"{_INDEX_TYPE}v{version}+json",
        "compression": "none",
        "checksumAlgorithm": "sha256",
        "checksum": checksum,
    }
    manifest = json.dumps({"version": _VERSION, "data": [record]}, indent=0, separators=(",", ":"))
    return (
        Write(f"{BLOBS}sha256/{checksum[:2]}/{checksum}", data),
        Write(file.key, manifest.encode(), replaces=file.tag, no_cache=True),
    )
