"""Manifests of images as bytes and values. Pure.

Source: OCI image specification, "Image Manifest" and "Image Index".
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

IMAGE: Final = "application/vnd.oci.image.manifest.v1+json"
EMPTY: Final = b"{}"
"""The configuration of what is no image."""
_CONFIG: Final = "application/vnd.oci.image.config.v1+json"
_LAYER: Final = "application/vnd.oci.image.layer.v1.tar+gzip"


def manifest_of(config: Mapping[str, Any], layers: list[Mapping[str, Any]], annotations: Mapping[str, str]) -> bytes:
    """A manifest in OCI's words, as Spack pushes its index: registries take what looks like an image.

    `config` and `layers` have at least digest and size.
    """
    value = {
        "mediaType": IMAGE,
        "schemaVersion": 2,
        "config": _descriptor(config, _CONFIG),
        "layers": [_descriptor(layer, _LAYER) for layer in layers],
        **({"annotations": dict(annotations)} if annotations else {}),
    }
    return json.dumps(value, separators=(",", ":")).encode()


def described(data: bytes) -> dict[str, Any]:
    """Digest and size of a blob."""
    return {"digest": f"sha256:{hashlib.sha256(data).hexdigest()}", "size": len(data)}


def _descriptor(value: Mapping[str, Any], media_type: str) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": value["digest"], "size": value["size"]}


def members(data: bytes) -> tuple[str, ...]:
    """The digests of the images in an index; none of anything else."""
    value = value_of(data)
    some = value.get("manifests")
    return tuple(one["digest"] for one in some if isinstance(one, dict) and "digest" in one) if some else ()


def blobs(data: bytes) -> tuple[str, ...]:
    """The digests of all blobs of an image; none of anything else."""
    config, layers = held(data)
    return tuple(one["digest"] for one in (config, *layers) if one)


def held(data: bytes) -> tuple[Mapping[str, Any], list[Mapping[str, Any]]]:
    """The configuration and the layers of an image."""
    value = value_of(data)
    found: list[dict[str, Any]] = [value.get("config") or {}, *(value.get("layers") or ())]
    if any(not isinstance(one, dict) or "digest" not in one or "size" not in one for one in found):
        return {}, []
    return found[0], [*found[1:]]


def value_of(data: bytes) -> dict[str, Any]:
    """A JSON object; an empty one where there is none."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
