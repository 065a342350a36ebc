"""What a mirror needs, has, lacks and can never have, for some lockfiles. Pure.

Sources are needed of every node that is not external, because any of them may have to be built. Binaries are needed of
what is used to install the roots: what they link or run, and so on, and everything that a package needs whose binary
nobody may hand on, because that one will be built.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from foundation.spack.lockfile import LockedSpec, Lockfile
from foundation.spack.source_needs import PackageNeeds, Source, SourceNeeds

NO_LICENCE = "not stated"


class Status(StrEnum):
    """How something that is needed stands to a mirror."""

    PRESENT = "present"
    MISSING = "missing"
    NEVER = "never"
    """It is not there, and no command can put it there."""


@dataclass(frozen=True, slots=True)
class MirrorItem:
    """One thing that is needed: a source, or the binary of a package if `source` is `None`."""

    packages: tuple[PackageNeeds, ...]
    """Which need it; at least one."""
    source: Source | None
    path: str
    """What it is found by: of a source its key in the mirror, empty if it never gets one; of a binary its DAG hash."""
    status: Status
    size: int | None = None
    """In bytes; `None` if nobody said."""
    reason: str = ""
    """Why the mirror can never have it."""

    @property
    def kind(self) -> str:
        """`archive`, `patch`, `resource` or `binary`."""
        return self.source.kind.value if self.source else "binary"


@dataclass(frozen=True)
class MirrorPlan:
    """How a mirror stands to what it is for."""

    needs: SourceNeeds
    items: tuple[MirrorItem, ...]

    def of(self, status: Status) -> tuple[MirrorItem, ...]:
        """The items with this status."""
        return tuple(item for item in self.items if item.status == status)

    @property
    def is_complete(self) -> bool:
        """Whether everything is there that can be."""
        return not self.of(Status.MISSING)

    def size(self, status: Status) -> tuple[int, int]:
        """The bytes of all items that stand like this, and how many of them are of unknown size."""
        sizes = [item.size for item in self.of(status)]
        return sum(size for size in sizes if size is not None), sizes.count(None)

    def licences(self) -> Mapping[str, int]:
        """How many packages have each licence, most frequent first; all that are stated for a package count."""
        found: Counter[str] = Counter()
        for package in self.needs.packages.values():
            found.update(package.licences or (NO_LICENCE,))
        return dict(sorted(found.items(), key=lambda pair: (-pair[1], pair[0])))

    def with_sizes(self, sizes: Mapping[str, int]) -> MirrorPlan:
        """The same with the sizes of items by path, where they were not known."""
        items = (item if item.size is not None else replace(item, size=sizes.get(item.path)) for item in self.items)
        return replace(self, items=tuple(items))


def built_specs(lockfiles: Iterable[Lockfile]) -> dict[str, LockedSpec]:
    """All specs of some lockfiles that are not external, by DAG hash, in the order of names and versions."""
    every = {hash_: spec for lockfile in lockfiles for hash_, spec in lockfile.specs.items() if not spec.is_external}
    return dict(sorted(every.items(), key=lambda pair: (pair[1].name, pair[1].version, pair[0])))


def usable_binaries(lockfiles: Iterable[Lockfile], needs: SourceNeeds, *, private: bool) -> frozenset[str]:
    """The DAG hashes of the binaries that may be used when the roots are installed."""
    found: set[str] = set()
    for lockfile in lockfiles:
        left = [*lockfile.roots, *lockfile.included_roots]
        seen: set[str] = set()
        while left:
            hash_ = left.pop()
            if hash_ in seen or hash_ not in lockfile.specs:
                continue
            seen.add(hash_)
            spec = lockfile.specs[hash_]
            if spec.is_external:
                continue
            found.add(hash_)
            package = needs.packages.get(hash_)
            is_built = package is not None and not package.may_redistribute_binary and not private
            left += spec.dependencies if is_built else spec.runtime_dependencies
    return frozenset(found)


def source_items(needs: SourceNeeds, present: Mapping[str, int | None], *, private: bool) -> tuple[MirrorItem, ...]:
    """Archives, patches and resources one by one; what several packages share stands there once.

    `present` has the sizes of what is in the mirror by path. `private` mirrors may hold what may not be handed on.
    """
    users: dict[str, list[PackageNeeds]] = {}
    for package in needs.packages.values():
        for number, source in enumerate(package.sources):
            same = users.setdefault(source.path or f"{package.hash} {number}", [])
            if package not in same:
                same.append(package)
    shown: dict[str, MirrorItem] = {}
    for package in needs.packages.values():
        for number, source in enumerate(package.sources):
            key = source.path or f"{package.hash} {number}"
            if key not in shown:
                shown[key] = _source_item(tuple(users[key]), source, present, private)
    return tuple(shown.values())


def _source_item(
    packages: tuple[PackageNeeds, ...], source: Source, present: Mapping[str, int | None], private: bool
) -> MirrorItem:
    if source.path and source.path in present:
        return MirrorItem(packages, source, source.path, Status.PRESENT, present[source.path])
    if problem := packages[0].problem:
        return MirrorItem(packages, source, "", Status.MISSING, None, f"Spack cannot say what it needs: {problem}")
    reason = source.obstacle
    if not reason and not private and not any(package.may_redistribute_source for package in packages):
        reason = "the recipe says that its source may not be handed on; '--private' includes it"
    return MirrorItem(packages, source, source.path, Status.NEVER if reason else Status.MISSING, None, reason)


def binary_items(
    needs: SourceNeeds, wanted: Collection[str], present: Mapping[str, int | None], *, private: bool
) -> tuple[MirrorItem, ...]:
    """The binaries of packages; `present` has the sizes of those in the mirror by DAG hash."""
    items = []
    for hash_, package in needs.packages.items():
        if hash_ not in wanted:
            continue
        if hash_ in present:
            items.append(MirrorItem((package,), None, hash_, Status.PRESENT, present[hash_]))
        elif package.may_redistribute_binary or private:
            items.append(MirrorItem((package,), None, hash_, Status.MISSING))
        else:
            reason = "the recipe says that its binary may not be handed on; '--private' includes it"
            items.append(MirrorItem((package,), None, hash_, Status.NEVER, None, reason))
    return tuple(items)
