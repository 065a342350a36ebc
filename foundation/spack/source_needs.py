"""What must be in a mirror so that packages can be built and installed without internet. Pure.

The answers come from Spack, by one script that `spack python` runs; here they are values, and JSON to keep them in.

A mirror, which is one folder, bucket or prefix, holds up to five things side by side:

    _source-cache/ and <package>/    sources, laid out as Spack looks for them (lib/spack/spack/mirrors/layout.py)
    v3/ and blobs/                   binaries, layout v3 (`foundation/spack/layout_v3.py`)
    recipes/spack.git, packages.git  bare git repositories
    bootstrap/                       what `spack bootstrap mirror` writes
    .spacktainers/                   what this project keeps beside them
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Final

from foundation.errors import DamagedError
from foundation.stores.documents import json_of

NEEDS_FOLDER: Final = ".spacktainers/"
"""The start of the keys of what this project keeps in a mirror. Nothing in it ends in `.manifest.json`, because Spack
takes everything of such a name for one of its own."""
NEEDS_KEY: Final = f"{NEEDS_FOLDER}needs.json"
"""What the mirror was filled for, so that it can be verified without Spack."""
_VERSION: Final = 1


class SourceKind(StrEnum):
    """What a source is to its package."""

    ARCHIVE = "archive"
    PATCH = "patch"
    RESOURCE = "resource"


@dataclass(frozen=True, slots=True)
class Source:
    """One thing that must be fetched before a package can be built.

    `path` is the key, from the root of the mirror, that Spack looks for first; `links` are the readable names that lead
    to it. `sha256` is that of the file as it lies in the mirror, empty where the recipe has none (checkouts of
    repositories). `obstacle` says why it can never be mirrored, and is empty if it can.
    """

    kind: SourceKind
    urls: tuple[str, ...]
    sha256: str
    path: str
    links: tuple[str, ...] = ()
    obstacle: str = ""


@dataclass(frozen=True, slots=True)
class PackageNeeds:
    """What one concrete spec needs to be built from source, and what may be done with it.

    `warnings` say what a mirror cannot provide although all files are there, such as a build that downloads by itself.
    """

    hash: str
    """The DAG hash."""
    package_hash: str
    """The hash of the recipe, by which these answers may be kept (`package_hash` of a node of a lockfile)."""
    name: str
    version: str
    namespace: str
    sources: tuple[Source, ...] = ()
    licences: tuple[str, ...] = ()
    may_redistribute_source: bool = True
    may_redistribute_binary: bool = True
    warnings: tuple[str, ...] = ()
    problem: str = ""
    """Why Spack could not say what it needs, such as a recipe that is not there; then `sources` say nothing."""

    def __str__(self) -> str:
        """`name@version/hash`, with the seven letters of the hash that Spack shows."""
        return f"{self.name}@{self.version}/{self.hash[:7]}"


@dataclass(frozen=True)
class SourceNeeds:
    """The needs of many specs by DAG hash."""

    packages: Mapping[str, PackageNeeds] = field(default_factory=dict)

    def merged(self, other: SourceNeeds) -> SourceNeeds:
        """Both; where they differ, the other's."""
        return SourceNeeds({**self.packages, **other.packages})

    def as_json(self) -> bytes:
        """For `NEEDS_KEY`; the same needs always give the same bytes."""
        packages = [asdict(self.packages[hash_]) for hash_ in sorted(self.packages)]
        return json.dumps({"version": _VERSION, "packages": packages}, indent=1).encode() + b"\n"


def read_needs(content: bytes, place: str) -> SourceNeeds:
    """The needs in a file that `as_json` wrote; `place` is only used to name it. Raises `DamagedError`."""
    try:
        value = json_of(content)
        if value["version"] != _VERSION:
            raise DamagedError(f"{place}: version {value['version']!r} of this file is not known")
        packages = [_package(record) for record in value["packages"]]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedError(f"{place}: not laid out as expected ({error}); fill the mirror again") from None
    return SourceNeeds({package.hash: package for package in packages})


def _package(record: Mapping[str, Any]) -> PackageNeeds:
    sources = tuple(
        Source(
            **{
                **source,
                "kind": SourceKind(source["kind"]),
                "urls": tuple(source["urls"]),
                "links": tuple(source["links"]),
            }
        )
        for source in record["sources"]
    )
    return PackageNeeds(
        **{
            **record,
            "sources": sources,
            "licences": tuple(record["licences"]),
            "warnings": tuple(record["warnings"]),
        }
    )
