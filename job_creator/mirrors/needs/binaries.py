"""Which binaries of a build cache are whole, as far as their names and sizes say. Pure.

In layout v3 a manifest leads to the blobs of a spec; in layout v2, which Spack 0.2x writes, spec file and archive carry
the DAG hash in their names. Sources: see `foundation/spack/layout_v3.py`; for v2 `tarball_name` in
lib/spack/spack/binary_distribution.py of Spack v0.23.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from foundation.spack.layout_v3 import BLOBS, MANIFESTS, SPEC_MANIFEST, SpecManifest
from foundation.stores.store import StoredObject

SPEC_MANIFESTS: Final = f"{MANIFESTS}spec/"
V2_FOLDER: Final = "build_cache/"
LISTED: Final = (SPEC_MANIFESTS, BLOBS, V2_FOLDER)
"""The starts of the keys that these functions have to see."""
_V2_SPEC: Final = re.compile(r"build_cache/[^/]+-([a-z2-7]{32})\.spec\.json(?:\.sig)?")
_V2_ARCHIVE: Final = re.compile(r"build_cache/.+-([a-z2-7]{32})\.spack")


def manifest_keys(keys: Iterable[str]) -> dict[str, str]:
    """The keys of manifests of specs by DAG hash."""
    matches = (SPEC_MANIFEST.fullmatch(key) for key in keys)
    return {match[1]: match[0] for match in matches if match}


def manifest_key(name: str, version: str, hash_: str) -> str:
    """The key of the manifest of a spec."""
    return f"{SPEC_MANIFESTS}{name}/{name}-{version}-{hash_}.spec.manifest.json"


def archive_keys(keys: Iterable[str]) -> dict[str, str]:
    """The keys of archives of layout v2 by DAG hash."""
    matches = (_V2_ARCHIVE.fullmatch(key) for key in keys)
    return {match[1]: match[0] for match in matches if match}


def whole_v3(manifests: Mapping[str, SpecManifest], sizes: Mapping[str, int]) -> dict[str, int]:
    """The sizes in bytes of the binaries, by DAG hash, whose blobs are all there in the size that the manifest says."""
    return {
        hash_: sum(blob.size for blob in manifest.blobs)
        for hash_, manifest in manifests.items()
        if manifest.blobs and all(sizes.get(blob.key) == blob.size for blob in manifest.blobs)
    }


def whole_v2(objects: Iterable[StoredObject]) -> dict[str, int]:
    """The sizes in bytes of the binaries, by DAG hash, of which spec file and archive are there."""
    specs: dict[str, int] = {}
    archives: dict[str, int] = {}
    for one in objects:
        for pattern, found in ((_V2_SPEC, specs), (_V2_ARCHIVE, archives)):
            if match := pattern.fullmatch(one.key):
                found[match[1]] = one.size
    return {hash_: specs[hash_] + archives[hash_] for hash_ in specs.keys() & archives.keys()}
