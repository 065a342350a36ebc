"""What is different between lockfiles: which packages changed, for which reasons of their own, and what follows. Pure.

A DAG hash stands for a package and all that it depends on, so one that is new says nothing of why. Packages are paired
by their names, and those that differ in themselves are told apart from those that only have something below them that
does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from foundation.graph import Edges, between, finish_times, reachable
from foundation.spack.grammar.concrete import ConcreteNode
from job_creator.builds.durations import Durations

_NOTHING: Final = "none"
_UNTOLD: Final = "what lockfiles do not tell (patches, or the release of Spack)"


@dataclass(frozen=True, slots=True)
class LockedPackage:
    """A package of a lockfile: its node, and what lockfiles say of it besides."""

    node: ConcreteNode
    recipe: str = ""
    """The hash of its recipe; empty where none was written down."""
    is_external: bool = False

    @property
    def name(self) -> str:
        """`name@version`, as people write it."""
        return f"{self.node.name}@{self.node.version}"

    @property
    def below(self) -> frozenset[str]:
        """The DAG hashes of its dependencies."""
        return frozenset(edge.hash for edge in self.node.edges)


Packages = Mapping[str, LockedPackage]
"""By DAG hash."""


@dataclass(frozen=True, slots=True)
class Trait:
    """A trait of a package that is another one now, in Spack's words: `version`, `+mpi`, `target` …"""

    what: str
    before: str
    after: str

    def __str__(self) -> str:
        """`version 1.2.13 -> 1.3.1`."""
        return f"{self.what} {self.before} -> {self.after}"


@dataclass(frozen=True, slots=True)
class PackageChange:
    """A package that was there before, and is another one now."""

    before: LockedPackage
    after: LockedPackage
    traits: tuple[Trait, ...]
    """What differs in the package itself; nothing where only something below it does."""


@dataclass(frozen=True, slots=True)
class RootCause:
    """A package that changed for its own sake, and how many others only changed because of it, among others perhaps."""

    change: PackageChange
    followers: int


@dataclass(frozen=True, slots=True)
class LockChanges:
    """All differences. Each part is in the order in which it is told."""

    causes: tuple[RootCause, ...]
    """The one that most follows first."""
    followers: tuple[PackageChange, ...]
    added: tuple[LockedPackage, ...]
    removed: tuple[LockedPackage, ...]
    unchanged: int
    work_seconds: float
    """Expected seconds of all builds that are new, one after the other."""
    longest_seconds: float
    """The same for the longest chain of them: less is not possible with any number of runners."""

    @property
    def to_build(self) -> int:
        """How many packages no build cache can have from before."""
        new = (*(one.change.after for one in self.causes), *(one.after for one in self.followers), *self.added)
        return sum(not package.is_external for package in new)

    def as_value(self) -> dict[str, Any]:
        """The same as JSON has it."""
        return {
            "causes": [
                {
                    **_value(one.change),
                    "followers": one.followers,
                    "traits": [str(trait) for trait in one.change.traits],
                }
                for one in self.causes
            ],
            "followers": [_value(one) for one in self.followers],
            "added": [{"name": one.name, "hash": one.node.hash} for one in self.added],
            "removed": [{"name": one.name, "hash": one.node.hash} for one in self.removed],
            "unchanged": self.unchanged,
            "to_build": self.to_build,
            "work_seconds": round(self.work_seconds),
            "longest_seconds": round(self.longest_seconds),
        }


def compare(before: Packages, after: Packages, durations: Durations) -> LockChanges:
    """All differences between the packages of some lockfiles and those of others."""
    new, gone = after.keys() - before.keys(), before.keys() - after.keys()
    changes = tuple(
        PackageChange(before[old], after[key], tuple(_traits(before[old], after[key])))
        for old, key in _pairs(before, gone, after, new)
    )
    own = {one.after.node.hash: one for one in changes if one.traits}
    followers = tuple(one for one in changes if not one.traits)
    counts = _followers(after, own.keys(), [one.after.node.hash for one in followers])
    causes = [RootCause(change, counts[key]) for key, change in own.items()]
    paired_old = {one.before.node.hash for one in changes}
    paired_new = {one.after.node.hash for one in changes}
    builds = {key: durations.of_package(after[key].node.name) for key in new if not after[key].is_external}
    ends = finish_times(between(edges_of(after), builds), builds)
    return LockChanges(
        tuple(sorted(causes, key=lambda one: (-one.followers, one.change.after.name, one.change.after.node.hash))),
        tuple(sorted(followers, key=lambda one: (one.after.name, one.after.node.hash))),
        _in_order(after[key] for key in new - paired_new),
        _in_order(before[key] for key in gone - paired_old),
        len(before.keys() & after.keys()),
        sum(builds.values()),
        max(ends.values(), default=0.0),
    )


def _value(change: PackageChange) -> dict[str, Any]:
    return {
        "before": {"name": change.before.name, "hash": change.before.node.hash},
        "after": {"name": change.after.name, "hash": change.after.node.hash},
    }


def _in_order(packages: Iterable[LockedPackage]) -> tuple[LockedPackage, ...]:
    return tuple(sorted(packages, key=lambda one: (one.name, one.node.hash)))


def edges_of(packages: Packages) -> Edges:
    """What each package depends on, as far as that is among them; by DAG hash."""
    return {key: frozenset(one for one in package.below if one in packages) for key, package in packages.items()}


def _pairs(before: Packages, gone: Collection[str], after: Packages, new: Collection[str]) -> Iterator[tuple[str, str]]:
    """Which package of before is which of after: of each name the two that are most alike, then of the rest, and so on.

    A name stands several times in a lockfile where builds need another version or other variants than what they build.
    """
    for name in sorted({before[key].node.name for key in gone}):
        old = [key for key in gone if before[key].node.name == name]
        found = [key for key in new if after[key].node.name == name]
        ranked = sorted((-_likeness(before[one], after[other]), one, other) for one in old for other in found)
        taken: set[str] = set()
        for _, one, other in ranked:
            if not taken & {one, other}:
                taken |= {one, other}
                yield one, other


def _likeness(one: LockedPackage, other: LockedPackage) -> int:
    """How much two packages of one name have in common; a version or a dependency counts more than a variant."""
    named = {edge.name for edge in one.node.edges} ^ {edge.name for edge in other.node.edges}
    variants = one.node.variants.items() ^ other.node.variants.items()
    alike = (one.node.version == other.node.version, one.node.target == other.node.target)
    return 10 * sum(alike) - 3 * len(named) - len(variants)


def _traits(one: LockedPackage, other: LockedPackage) -> Iterator[Trait]:
    """What differs in two packages themselves. One thing is always found, unless something below them differs."""
    found = list(_own_traits(one, other))
    yield from found
    below_differs = {edge.hash for edge in one.node.edges} != {edge.hash for edge in other.node.edges}
    if not found and not below_differs:
        yield Trait(_UNTOLD, one.node.hash[:7], other.node.hash[:7])


def _own_traits(one: LockedPackage, other: LockedPackage) -> Iterator[Trait]:
    old, new = _plain(one), _plain(other)
    for what in dict.fromkeys((*old, *new)):
        if old.get(what, _NOTHING) != new.get(what, _NOTHING):
            yield Trait(what, old.get(what, _NOTHING), new.get(what, _NOTHING))
    if one.recipe != other.recipe and one.recipe and other.recipe and one.node.version == other.node.version:
        yield Trait("recipe", one.recipe[:7], other.recipe[:7])


def _plain(package: LockedPackage) -> dict[str, str]:
    """What a package says of itself, in the order in which it is told; dependencies by their names and types alone."""
    node = package.node
    found = {
        "version": node.version,
        "target": node.target,
        "os": node.os,
        "platform": node.platform,
        "namespace": node.namespace,
        "compiler": "@".join(node.compiler or ()),
        "external": "yes" if package.is_external else "no",
    }
    found |= {name: ",".join(map(_shown, values)) for name, values in sorted(node.variants.items())}
    found |= {name: " ".join(sorted(flags)) for name, flags in sorted(node.flags.items()) if flags}
    kinds: dict[str, set[str]] = {}
    for edge in node.edges:
        kinds.setdefault(f"dependency {edge.name}", set()).update(edge.types)
    return {**found, **{name: ",".join(sorted(types)) for name, types in sorted(kinds.items())}}


def _shown(value: str | bool) -> str:
    return value if isinstance(value, str) else "on" if value else "off"


def _followers(after: Packages, causes: Collection[str], followers: Collection[str]) -> dict[str, int]:
    """For each cause how many of the followers depend on it, directly or not."""
    wanted = {*causes, *followers}
    below = reachable(between(edges_of(after), wanted))
    counts = dict.fromkeys(causes, 0)
    for key in followers:
        for cause in below[key] & counts.keys():
            counts[cause] += 1
    return counts
