"""Manifests that were read before: kept in a side file of the mirror, so that the next run reads only new ones."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from typing import Final

from foundation.spack.layout_v3 import INDEXES, Blob, SpecManifest
from foundation.spack.specs import intern
from foundation.stores.documents import packed_json_of
from foundation.stores.store import SPACKITOR_FOLDER, Content

KEY: Final = f"{SPACKITOR_FOLDER}manifests.json.gz"
_VERSION: Final = 1


def worth_remembering(manifests: Mapping[str, SpecManifest]) -> dict[str, SpecManifest]:
    """Without those of indexes, which change all the time, and damaged ones, which are looked at again each time."""
    return {key: one for key, one in manifests.items() if not one.damage and not key.startswith(INDEXES)}


def manifests_as_bytes(manifests: Mapping[str, SpecManifest]) -> bytes:
    """The content of the side file: packed JSON, without manifests that are damaged or those of indexes."""
    known = {
        key: [one.tag, one.is_signed, [[blob.key, blob.media_type, blob.size] for blob in one.blobs]]
        for key, one in worth_remembering(manifests).items()
    }
    text = json.dumps({"version": _VERSION, "manifests": known}, separators=(",", ":"))
    return gzip.compress(text.encode(), compresslevel=1, mtime=0)


def read_manifests(content: Content | None) -> dict[str, SpecManifest]:
    """What was remembered; nothing if that cannot be read, because it can always be had again."""
    try:
        value = packed_json_of(content.data) if content else {}
        if value.get("version") != _VERSION:
            return {}
        return {
            key: SpecManifest(tag, signed, tuple(Blob(blob, intern(media), size) for blob, media, size in blobs))
            for key, (tag, signed, blobs) in value["manifests"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}
