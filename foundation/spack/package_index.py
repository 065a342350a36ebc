"""What a package repository has at one of its commits: packages, virtuals, and variants with their values.

The file is ours (`job_creator/package_index/inside_spack.py` asks Spack for it). One JSON object:

    version     of this form
    commit      of the package repository, or of Spack where that brings its recipes
    refs        tags and branches that name this commit
    virtuals    names
    variants    a list of [name, values or null for any, whether several may be named]
    packages    name: indices of `variants`, or null where the recipe could not be read
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, NamedTuple

from foundation.errors import Fault, InvalidInputError

VERSION: Final = 1
_SHORTEST_COMMIT: Final = 7


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
    _packages: Mapping[str, list[int] | None] = field(repr=False)
    _variants: list[list[Any]] = field(repr=False)
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

    def variants_of(self, package: str) -> Mapping[str, DeclaredVariant] | None:
        """The variants of a package by name; `None` for virtuals, and where nobody knows them."""
        known = self._packages.get(package)
        if known is not None and package not in self._read:
            self._read[package] = {variant.name: variant for variant in map(self._variant, known)}
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
            )
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    hint = "make it again with 'jc index packages'"
    raise InvalidInputError([Fault(place, 1, 1, "not laid out like a package index", hint)]) from None


def write_package_index(asked: Mapping[str, Any], commit: str, refs: list[str]) -> bytes:
    """The file of what Spack answered, of a commit that these refs name. Raises `KeyError` for half an answer."""
    kept = {key: asked[key] for key in ("virtuals", "variants", "packages")}
    value = {"version": VERSION, "commit": commit, "refs": sorted(refs), **kept}
    return (json.dumps(value, separators=(",", ":")) + "\n").encode()
