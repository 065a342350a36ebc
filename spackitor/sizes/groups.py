"""Specs with what they take, and their groups. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from foundation.spack.specs import Spec
from spackitor.inventory.inventory import Inventory

UNKNOWN: Final = "unknown"
SHARED: Final = "(needed by several)"
"""The group of what more than one root needs."""
BY: Final = ("name", "version", "target", "root", "license")


@dataclass(frozen=True, slots=True)
class SizedSpec:
    """A spec, and the bytes of each thing that belongs to it, by its key; specs may share things."""

    spec: Spec
    parts: Mapping[object, int]


@dataclass(frozen=True, slots=True)
class SizeGroup:
    """Some specs: how many, and their bytes. What several groups share counts in the one that it belongs to first."""

    name: str
    specs: int
    size: int


def sized_specs(inventory: Inventory) -> tuple[SizedSpec, ...]:
    """The usable specs of a mirror, as its listing and manifests tell their sizes."""
    return tuple(
        SizedSpec(inventory.specs[hash_], {one.key: one.size for one in inventory.objects_of(hash_)})
        for hash_ in sorted(inventory.usable)
    )


def size_groups(specs: Sequence[SizedSpec], by: str, license_of: Callable[[Spec], str]) -> tuple[SizeGroup, ...]:
    """All specs by name, version, target, root or license; the largest group first."""
    roots = _roots(specs) if by == "root" else {}
    name_of: Mapping[str, Callable[[Spec], str]] = {
        "name": lambda spec: spec.name,
        "version": lambda spec: f"{spec.name}@{spec.version}",
        "target": lambda spec: spec.target or UNKNOWN,
        "root": lambda spec: roots[spec.hash],
        "license": license_of,
    }
    members: dict[str, list[SizedSpec]] = {}
    for one in sorted(specs, key=lambda one: (one.spec.name, one.spec.version, one.spec.hash)):
        members.setdefault(name_of[by](one.spec), []).append(one)
    counted: set[object] = set()
    groups = []
    for name, some in sorted(members.items()):
        parts = {key: size for one in some for key, size in one.parts.items() if key not in counted}
        counted |= parts.keys()
        groups.append(SizeGroup(name, len(some), sum(parts.values())))
    return tuple(sorted(groups, key=lambda group: (-group.size, group.name)))


def _roots(specs: Iterable[SizedSpec]) -> dict[str, str]:
    """For each spec the root that alone needs it, to run; a root is what nothing else that is there needs.

    Each spec is looked at twice at most: what several need, all that it needs several need as well.
    """
    every = {one.spec.hash: one.spec for one in specs}
    needed = {hash_ for spec in every.values() for hash_ in spec.dependencies if hash_ != spec.hash}
    found: dict[str, str] = {}
    for root in [spec for hash_, spec in every.items() if hash_ not in needed]:
        todo = [root.hash]
        while todo:
            hash_ = todo.pop()
            if hash_ not in every or found.get(hash_) in (root.hash, SHARED):
                continue
            found[hash_] = SHARED if hash_ in found else root.hash
            todo += every[hash_].dependencies
    # What is left needs itself in a circle, which Spack does not make.
    return {hash_: str(every[found[hash_]]) if found.get(hash_) in every else SHARED for hash_ in every}
