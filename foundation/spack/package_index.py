"""What a package repository has at one of its commits: packages, virtuals, and variants with their values.

The file is ours (`job_creator/package_index/inside_spack.py` asks Spack for it). One JSON object:

    version     of this form
    commit      of the package repository, or of Spack where that brings its recipes
    refs        tags and branches that name this commit
    virtuals    names
    variants    a list of [name, values or null for any, whether several may be named]
    licenses    a list of expressions
    packages    name: [indices of `variants`, indices of `licenses`], or null where the recipe could not be read
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, NamedTuple

from foundation.errors import Fault, InvalidInputError

VERSION: Final = 2
_SHORTEST_COMMIT: Final = 7
_BUILD_SYSTEM: Final = "build_system"
"""The variant that says how a package is built, since all lines that are supported."""


class DeclaredVariant(NamedTuple):
    """A variant as a recipe declares it, over all conditions."""

    name: str
    values: frozenset[str] | None
    """What is allowed, flags as `true` and `false`; `None` where anything may be."""
    takes_several: bool

    @property
    def is_flag(self) -> bool:
        """Whether it is only on or off."""
        return self.values == _FLAG


_FLAG: Final = frozenset({"true", "false"})


@dataclass(frozen=True)
class PackageIndex:
    """A package repository at one of its commits."""

    commit: str
    refs: frozenset[str]
    virtuals: frozenset[str]
    _packages: Mapping[str, list[list[int]] | None] = field(repr=False)
    _variants: list[list[Any]] = field(repr=False)
    _licenses: list[str] = field(repr=False)
    _read: dict[str, Mapping[str, DeclaredVariant]] = field(default_factory=dict, repr=False, compare=False)
    """What was asked for before."""

    def is_of(self, ref: str) -> bool:
        """Whether a tag, branch or commit names the commit that this is of, as far as was known when it was made."""
        is_commit = len(ref) >= _SHORTEST_COMMIT and self.commit.startswith(ref)
        return ref in self.refs or is_commit

    def knows(self, name: str) -> bool:
        """Whether there is a package or virtual of this name."""
        return name in self._packages or name in self.virtuals

    @cached_property
    def names(self) -> tuple[str, ...]:
        """All packages and virtuals, sorted."""
        return tuple(sorted({*self._packages, *self.virtuals}))

    @property
    def packages(self) -> tuple[str, ...]:
        """All packages whose recipes could be read, sorted; no virtuals."""
        return tuple(sorted(name for name, known in self._packages.items() if known is not None))

    def build_systems_of(self, package: str) -> frozenset[str]:
        """How a package may be built: `cmake`, `autotools`, or what else Spack has."""
        variant = (self.variants_of(package) or {}).get(_BUILD_SYSTEM)
        return (variant.values if variant else None) or frozenset()

    def licenses_of(self, package: str) -> tuple[str, ...]:
        """The license expressions of a package, over all conditions; none where its recipe says nothing."""
        known = self._packages.get(package)
        return tuple(self._licenses[index] for index in known[1]) if known else ()

    def variants_of(self, package: str) -> Mapping[str, DeclaredVariant] | None:
        """The variants of a package by name; `None` for virtuals, and where nobody knows them."""
        known = self._packages.get(package)
        if known is not None and package not in self._read:
            self._read[package] = {variant.name: variant for variant in map(self._variant, known[0])}
        return self._read.get(package)

    def _variant(self, index: int) -> DeclaredVariant:
        name, values, takes_several = self._variants[index]
        return DeclaredVariant(name, None if values is None else frozenset(values), takes_several)


def read_package_index(content: bytes, place: str) -> PackageIndex:
    """Read an index. Raises `InvalidInputError` for anything else."""
    try:
        value = json.loads(content)
        if value["version"] == VERSION:
            return PackageIndex(
                str(value["commit"]),
                frozenset(value["refs"]),
                frozenset(value["virtuals"]),
                dict(value["packages"]),
                list(value["variants"]),
                list(value["licenses"]),
            )
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    hint = "make it again with 'jc index packages'"
    raise InvalidInputError([Fault(place, 1, 1, "not laid out like a package index", hint)]) from None


def write_package_index(asked: Mapping[str, Any], commit: str, refs: list[str]) -> bytes:
    """The file of what Spack answered, of a commit that these refs name. Raises `KeyError` for half an answer."""
    kept = {key: asked[key] for key in ("virtuals", "variants", "licenses", "packages")}
    value = {"version": VERSION, "commit": commit, "refs": sorted(refs), **kept}
    return (json.dumps(value, separators=(",", ":")) + "\n").encode()
