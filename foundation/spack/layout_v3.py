"""Layout v3 of build caches: manifests that lead to the blobs of a spec, an index or a key.

    v3/manifests/spec/<name>/<name>-<version>-<hash>.spec.manifest.json
    v3/manifests/index/[<view>/]index.manifest.json
    v3/manifests/key/<fingerprint>.key.manifest.json, v3/manifests/key/keys.manifest.json
    blobs/<algorithm>/<first two digits>/<checksum>

Blobs are named after their content, so several manifests may share one.

Source: `BuildcacheManifest` and `BlobRecord` in lib/spack/spack/url_buildcache.py of Spack v1.0 to v1.1.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from foundation.errors import DamagedError, RefusedError
from foundation.openpgp.frame import message_fault
from foundation.spack.specs import intern, is_signed, read_signed_json, signed_text
from foundation.stores.store import Content

FOLDER: Final = "v3/"
BLOBS: Final = "blobs/"
MANIFESTS: Final = f"{FOLDER}manifests/"
INDEX: Final = f"{MANIFESTS}index/index.manifest.json"
INDEXES: Final = f"{MANIFESTS}index/"
SPEC_MANIFEST: Final = re.compile(rf"{MANIFESTS}spec/[^/]+/[^/]+-([a-z2-7]{{32}})\.spec\.manifest\.json")
INDEX_MANIFEST: Final = re.compile(rf"{MANIFESTS}index/((?P<view>.+)/)?index\.manifest\.json")
KEYS: Final = f"{MANIFESTS}key/"
KEY_INDEX: Final = f"{KEYS}keys.manifest.json"
KEY_MANIFEST: Final = re.compile(rf"{KEYS}([0-9A-F]{{40,64}})\.key\.manifest\.json")
LAYOUT: Final = f"{FOLDER}layout.json"
SPEC_TYPE: Final = "application/vnd.spack.spec."
INDEX_TYPE: Final = "application/vnd.spack.db."
ARCHIVE_TYPE: Final = "application/vnd.spack.install."
KEY_TYPE: Final = "application/pgp-keys"
KEY_INDEX_TYPE: Final = "application/vnd.spack.keyindex."
VERSION: Final = 3
COMPRESSION: Final = {
    re.compile(r"application/vnd\.spack\.install\.v2\.tar\+gzip"): "gzip",
    re.compile(r"application/vnd\.spack\.spec\.v(\d+)\+json"): "gzip",
    re.compile(r"application/vnd\.spack\.db\.v(\d+)\+json"): "none",
    re.compile(r"application/pgp-keys"): "none",
    re.compile(r"application/vnd\.spack\.keyindex\.v1\+json"): "none",
}
"""The media types that Spack writes, and how it compresses what has them."""
_RECORD: Final = {"contentLength", "mediaType", "compression", "checksumAlgorithm", "checksum"}
_SEPARATORS: Final = ((",", ":"), (",", ": "), (", ", ": "))
_INDENTS: Final = (1, 2, 4)


@dataclass(frozen=True, slots=True)
class Blob:
    """What a manifest says of a blob: its key in the mirror, its media type and its size in bytes."""

    key: str
    media_type: str
    size: int


@dataclass(frozen=True, slots=True)
class SpecManifest:
    """A manifest that had this tag; `damage` says why it could not be read."""

    tag: str
    is_signed: bool
    blobs: tuple[Blob, ...]
    damage: str = ""

    def blob(self, media_type: str) -> Blob | None:
        """The first blob whose media type starts like this; the number at the end changes with the format."""
        return next((one for one in self.blobs if one.media_type.startswith(media_type)), None)


def read_manifest(content: Content, key: str) -> SpecManifest:
    """Read a manifest, signed or not. Raises `RefusedError` for a version that is not known."""
    signed = is_signed(content.data)
    try:
        value = read_signed_json(content.data, key)
        version = value["version"]
        blobs = tuple(_blob(one) for one in value["data"]) if version == VERSION else ()
    except (DamagedError, KeyError, TypeError, AttributeError, ValueError) as error:
        reason = str(error) if isinstance(error, DamagedError) else f"{key}: not laid out like a manifest"
        return SpecManifest(content.tag, signed, (), reason)
    if version != VERSION:
        raise RefusedError(f"{key}: manifest version {version!r} is not known (known is 3); nothing is changed")
    return SpecManifest(content.tag, signed, blobs)


def _blob(record: Mapping[str, Any]) -> Blob:
    algorithm, checksum = record["checksumAlgorithm"], record["checksum"]
    key = f"{BLOBS}{algorithm}/{checksum[:2]}/{checksum}"
    return Blob(key, intern(record["mediaType"]), int(record["contentLength"]))


def irregularities(data: bytes) -> Iterator[str]:
    """What no Spack would have written, in a manifest that can be read; `read_manifest` is content with more.

    Not everything in a manifest is covered by a checksum or, as in that of an index, by a signature. All that Spack
    always writes in one way is compared with that, so that no byte of it can change unseen.
    """
    if is_signed(data) and (fault := message_fault(data)):
        yield fault
    text = signed_text(data.decode()) if is_signed(data) else data.decode()
    value = json.loads(text)
    if value.keys() != {"version", "data"} or any(record.keys() != _RECORD for record in value["data"]):
        yield "has other fields than a manifest"
    elif not is_plain_json(text):
        yield "has blanks or signs where no program writes them"
    for record in value["data"]:
        if record.get("checksumAlgorithm") != "sha256":
            yield f"has a checksum of the kind {record.get('checksumAlgorithm')!r}"
        matches = [wanted for media, wanted in COMPRESSION.items() if media.fullmatch(record["mediaType"])]
        if matches != [record.get("compression")]:
            yield f"has content of the type {record['mediaType']!r} with compression {record.get('compression')!r}"


def is_plain_json(text: str) -> bool:
    """Whether this is JSON as a program writes it, without a sign too many."""
    value = json.loads(text)
    # Spack puts every field on a line of its own; to write it like that, Python takes ten times as long.
    flat = text.replace("\n", "")
    return any(flat == json.dumps(value, separators=separators) for separators in _SEPARATORS) or any(
        text.strip("\n") == json.dumps(value, indent=indent) for indent in _INDENTS
    )


def is_manifest(key: str) -> bool:
    """Whether Spack takes this for a manifest."""
    return key.startswith(MANIFESTS) and key.endswith(".manifest.json")


def hash_of(key: str) -> str:
    """The DAG hash in the name of the manifest of a spec; empty if it is none."""
    match = SPEC_MANIFEST.fullmatch(key)
    return match[1] if match else ""


def index_objects(data: bytes, version: int) -> tuple[str, bytes, bytes]:
    """An index with this version of the database: the key of its blob, the blob, and the manifest that leads to it."""
    return _objects(data, f"{INDEX_TYPE}v{version}+json")


def key_index_objects(data: bytes) -> tuple[str, bytes, bytes]:
    """The index of keys: the key of its blob, the blob, and the manifest that leads to it."""
    return _objects(data, f"{KEY_INDEX_TYPE}v1+json")


def _objects(data: bytes, media_type: str) -> tuple[str, bytes, bytes]:
    """The manifest is laid out as Spack does it."""
    checksum = hashlib.sha256(data).hexdigest()
    record = {
        "contentLength": len(data),
        "mediaType": media_type,
        "compression": "none",
        "checksumAlgorithm": "sha256",
        "checksum": checksum,
    }
    manifest = json.dumps({"version": VERSION, "data": [record]}, indent=0, separators=(",", ":"))
    return f"{BLOBS}sha256/{checksum[:2]}/{checksum}", data, manifest.encode()


def index_of(view: str) -> str:
    """The key of the manifest of a view's index."""
    return f"{INDEXES}{view}/index.manifest.json"


def index_manifests(read: Mapping[str, SpecManifest]) -> dict[str, str]:
    """The manifests of indexes by key, with the names of their views (empty for the main one)."""
    matches = {key: INDEX_MANIFEST.fullmatch(key) for key in read}
    return {key: match["view"] or "" for key, match in matches.items() if match}


def spec_blob(manifest: SpecManifest) -> Blob | None:
    """The spec file that a manifest leads to."""
    return manifest.blob(SPEC_TYPE)


def index_blob(manifest: SpecManifest) -> str:
    """The key of the index that a manifest leads to; empty if it leads to none."""
    blob = manifest.blob(INDEX_TYPE)
    return blob.key if blob else ""
