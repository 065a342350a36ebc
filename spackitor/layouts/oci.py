"""Build caches in registries (`foundation/spack/layout_oci.py`) as entries of an inventory."""

from __future__ import annotations

import math
from typing import Final

from foundation.errors import DamagedError
from foundation.spack.index import read_index
from foundation.spack.layout_oci import INDEX_TAG, Descriptor, ImageManifest
from foundation.spack.releases import Layout
from foundation.spack.specs import intern
from foundation.stores.store import StoredObject
from spackitor.inventory.inventory import Entry, IndexFile

_UNKNOWN_TIME: Final = -math.inf
"""Registries do not say when something was pushed."""


def entry(hash_: str, tag: str, digest: str, size: int, manifest: ImageManifest | None) -> Entry:
    """The spec of a tag, whose manifest has this digest and size; `None` for one that cannot be read.

    Of its layers, those before the last one belong to a base image and to other specs.
    """
    own = (_object(manifest.own), _object(manifest.config)) if manifest else ()
    return Entry(
        Layout.OCI,
        intern(hash_),
        (StoredObject(tag, size, _UNKNOWN_TIME, digest),),
        own,
        (),
        manifest.config.digest if manifest else tag,
        is_signed=False,
        damage="" if manifest else f"{tag}: not laid out like the manifest of an image",
    )


def _object(blob: Descriptor) -> StoredObject:
    return StoredObject(blob.digest, blob.size, _UNKNOWN_TIME, blob.digest)


def index_file(digest: str | None, manifest: ImageManifest | None, content: bytes | None) -> IndexFile:
    """The index. One that cannot be read is told of, not raised; a version that is not known is refused."""
    if digest is None:
        return IndexFile(Layout.OCI, INDEX_TAG, None, None)
    blob = manifest.own.digest if manifest else ""
    if content is None:
        return IndexFile(Layout.OCI, INDEX_TAG, digest, None, blob=blob, damage=f"{INDEX_TAG}: leads to no index")
    try:
        index = read_index(content, INDEX_TAG)
    except DamagedError as error:
        return IndexFile(Layout.OCI, INDEX_TAG, digest, None, blob=blob, damage=str(error))
    return IndexFile(Layout.OCI, INDEX_TAG, digest, index, blob=blob, size=len(content))
