"""Build caches in registries (`foundation/spack/layout_oci.py`) as entries of an inventory."""

from __future__ import annotations

import math
from typing import Final

from foundation.errors import DamagedError
from foundation.registries.manifests import EMPTY, described, manifest_of
from foundation.spack.index import read_index
from foundation.spack.layout_oci import INDEX_TAG, Descriptor, ImageManifest
from foundation.spack.releases import Layout
from foundation.spack.specs import intern
from foundation.stores.store import StoredObject
from spackitor.inventory.inventory import Entry, IndexFile
from spackitor.layouts import Write

UNKNOWN_TIME: Final = -math.inf
"""Registries do not say when something was pushed; Spack 1.1 does, in the configuration."""


def entry(hash_: str, tag: StoredObject, manifest: ImageManifest | None) -> Entry:
    """The spec of a tag, and the manifest that it leads to; `None` for one that cannot be read.

    Of its layers, those before the last one belong to a base image and to other specs.
    """
    own = (_object(manifest.own), _object(manifest.config)) if manifest else ()
    return Entry(
        Layout.OCI,
        intern(hash_),
        (tag,),
        own,
        (),
        manifest.config.digest if manifest else tag.key,
        is_signed=False,
        damage="" if manifest else f"{tag.key}: not laid out like the manifest of an image",
    )


def _object(blob: Descriptor) -> StoredObject:
    return StoredObject(blob.digest, blob.size, UNKNOWN_TIME, blob.digest)


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


def index_writes(file: IndexFile, data: bytes) -> tuple[Write, ...]:
    """How an index is written: its only layer, an empty configuration, then the manifest that leads to them."""
    manifest = manifest_of(described(EMPTY), [described(data)], {})
    return (
        Write(described(data)["digest"], data),
        Write(described(EMPTY)["digest"], EMPTY),
        Write(file.key, manifest, replaces=file.tag),
    )
