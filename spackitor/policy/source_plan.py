"""Which sources go, and why. Pure: an inventory and roots in, a plan out.

A source stays if a package of a kept lockfile needs it, whatever that package is needed for, because any of them may
have to be built; or if it is too young to be judged. Nothing at all goes while it is not known what a kept package
needs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Final

from foundation.errors import RefusedError
from foundation.spack.source_needs import NEEDS_KEY, SourceNeeds
from foundation.stores.store import StoredObject
from spackitor.inventory.quarantine import CLEAN_SOURCES
from spackitor.inventory.roots import RootSet
from spackitor.inventory.sources import SourceInventory
from spackitor.layouts import Write
from spackitor.policy.plan import CachePlan, IndexChange, SpecRemoval
from spackitor.policy.verdicts import DAY

THINGS: Final = "sources"


def kept_packages(inventory: SourceInventory, roots: Iterable[RootSet]) -> frozenset[str]:
    """The DAG hashes of all packages of kept lockfiles. Raises `RefusedError` where it is not known what they need."""
    kept: set[str] = set()
    for one in roots:
        unknown = [hash_ for hash_ in one.hashes if hash_ not in one.edges]
        if unknown:
            raise RefusedError(
                f"{one.name}: says nothing of what /{unknown[0][:7]} depends on, so nothing is removed from "
                f"{inventory.url}; sources are cleaned by lockfiles: give them with -e, or record them with "
                "'spackitor keep'"
            )
        missing = sorted(one.edges.keys() - one.externals - inventory.needs.packages.keys())
        if missing:
            names = ", ".join(f"/{hash_[:7]}" for hash_ in missing[:3])
            raise RefusedError(
                f"{inventory.url}: nothing is removed, because it is not recorded there which sources {len(missing)} "
                f"packages of {one.name} need ({names}{' …' if len(missing) > 3 else ''}); run 'jc mirror create' or "
                "'jc mirror plan' for that lockfile first"
            )
        kept |= one.edges.keys() - one.externals
    if not kept:
        raise RefusedError(f"{inventory.url}: no lockfile is kept, so that every source would go; give some with -e")
    return frozenset(kept)


def make_source_plan(
    inventory: SourceInventory, kept: frozenset[str], *, now: float, min_age: float, max_age: float | None
) -> CachePlan:
    """The plan that removes what no kept package needs. Ages are in seconds."""
    needed = inventory.paths(kept)
    limit = now - max(min_age, max_age or 0.0)
    going = [one for one in inventory.archives if one.key not in needed and one.modified <= limit]
    removals = tuple(_removal(inventory, one, needed, now) for one in sorted(going, key=lambda one: one.key))
    in_use = sum(one.key in needed or one.modified > now - min_age for one in inventory.archives)
    return CachePlan(
        inventory.url,
        CLEAN_SOURCES,
        len(inventory.archives),
        sum(one.size for one in (*inventory.archives, *inventory.aliases)),
        tuple(_without(inventory, kept, {one.key for one in going})),
        removals,
        (),
        (),
        # Of other runs, only those are this half's business that left nothing lying among the binaries.
        tuple(run for run in inventory.runs if run.is_over(now) and not run.left),
        len(inventory.archives) - len(removals),
        in_use,
        THINGS,
    )


def _removal(inventory: SourceInventory, one: StoredObject, needed: Collection[str], now: float) -> SpecRemoval:
    packages = [inventory.needs.packages[hash_] for hash_ in inventory.users.get(one.key, ())]
    names = [name for name in inventory.names.get(one.key, ()) if name.key not in needed]
    age = (now - one.modified) / DAY
    return SpecRemoval(
        one.key.rpartition("/")[2].partition(".")[0],
        ", ".join(dict.fromkeys(package.name for package in packages)) or one.key.rpartition("/")[2],
        ", ".join(dict.fromkeys(package.version for package in packages)),
        "",
        f"{age:.0f} days old and in no use" + ("" if packages else ", nor recorded what it is for"),
        one.size + sum(name.size for name in names),
        age,
        # Names first: a link that leads nowhere is worse than an archive without a name.
        (*(name.key for name in names), one.key),
        (),
    )


def _without(inventory: SourceInventory, kept: frozenset[str], going: Collection[str]) -> Iterator[IndexChange]:
    """The record of what packages need, without those whose sources go."""
    gone = {hash_ for key in going for hash_ in inventory.users.get(key, ())} - kept
    if gone:
        left = {hash_: one for hash_, one in inventory.needs.packages.items() if hash_ not in gone}
        write = Write(NEEDS_KEY, SourceNeeds(left).as_json(), replaces=inventory.needs_tag)
        yield IndexChange(NEEDS_KEY, len(gone), 0, (write,), is_kept=True)
