"""Build caches in OCI registries: a tag for each spec, and one for the index.

    <name>-<version>-<hash>.spack    the configuration is the spec file, the last layer the archive; the layers before
                                     it are those of a base image and of what the package links or runs
    index.spack                      the only layer is the index

Nothing is signed. Tags can be moved; everything else is named after its content.

Sources: `_oci_put_manifest`, `_oci_push` and `_oci_update_index` in lib/spack/spack/binary_distribution.py and
lib/spack/spack/oci/image.py of Spack v0.21 to v1.1.0; OCI image specification, "Image Manifest".
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from foundation.errors import DamagedError

INDEX_TAG: Final = "index.spack"
_SPEC_TAG: Final = re.compile(r".*-([a-z2-7]{32})\.spack")
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_LONGEST: Final = 128


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What a manifest says of a blob: its digest (`sha256:…`) and its size in bytes."""

    digest: str
    size: int


@dataclass(frozen=True, slots=True)
class ImageManifest:
    """What a tag leads to: the configuration and at least one layer."""

    config: Descriptor
    layers: tuple[Descriptor, ...]

    @property
    def own(self) -> Descriptor:
        """The archive of the package itself, or the index."""
        return self.layers[-1]

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """Every blob that the registry has to hold for it: the configuration and all layers."""
        return (self.config, *self.layers)


def tag_of(name: str, version: str, hash_: str) -> str:
    """The tag that Spack pushes a spec under, cut as Spack cuts it."""
    tag = re.sub(r"[^\w.-]", "_", f"{name}-{version}-{hash_}.spack")
    return tag if len(tag) <= _LONGEST else tag[: _LONGEST // 2] + tag[-_LONGEST // 2 :]


def is_perhaps_of(tag: str, name: str) -> bool:
    """Whether a tag may be that of a package; more than one name may fit, also because long tags are cut."""
    return tag.startswith(re.sub(r"[^\w.-]", "_", f"{name}-")[: _LONGEST // 2])


def spec_tags(tags: Iterable[str]) -> dict[str, str]:
    """The tags of specs by DAG hash."""
    matches = (_SPEC_TAG.fullmatch(tag) for tag in tags)
    return {match[1]: match[0] for match in matches if match}


def read_manifest(data: bytes, place: str) -> ImageManifest:
    """Read a manifest. Raises `DamagedError`."""
    try:
        value = json.loads(data)
        found = ImageManifest(_descriptor(value["config"]), tuple(map(_descriptor, value["layers"])))
    except (ValueError, KeyError, TypeError, RecursionError):
        raise DamagedError(f"{place}: not laid out like the manifest of an image") from None
    if not found.layers:
        raise DamagedError(f"{place}: leads to no layer")
    return found


def _descriptor(value: Mapping[str, Any]) -> Descriptor:
    digest, size = value["digest"], value["size"]
    if not _DIGEST.fullmatch(digest) or not isinstance(size, int):
        raise ValueError(digest)
    return Descriptor(digest, size)
