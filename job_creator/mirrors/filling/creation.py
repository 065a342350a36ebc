"""Filling a mirror from beginning to end: sources, binaries, recipes, what Spack starts from, group and modes."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from foundation.errors import CouldNotAskError, RefusedError
from foundation.spack.program import SpackProgram
from foundation.spack.source_needs import SourceNeeds
from foundation.stores.schemes import BUCKET, REGISTRY, kind_of
from foundation.stores.store import Store
from job_creator.mirrors import contents
from job_creator.mirrors.filling import bootstrap_mirror, pushes, recipes
from job_creator.mirrors.filling.destinations import Destination, FolderDestination, RegistryDestination
from job_creator.mirrors.filling.pushes import BinarySigning
from job_creator.mirrors.filling.sources import Done, ItemOutcome, damaged, fill, record_needs, tidy
from job_creator.mirrors.needs import comparison
from job_creator.mirrors.needs.comparison import MirrorScope
from job_creator.mirrors.needs.plan import MirrorItem, MirrorPlan, Status
from job_creator.mirrors.needs.present_binaries import present_binaries
from job_creator.mirrors.needs.questions import Lock, write_environment
from job_creator.mirrors.sharing import adopt, entries, share

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Order:
    """What is to be put into a mirror, and how."""

    wanted: MirrorScope
    recipes: bool = False
    """Whether Spack and its recipes are put there, as git repositories."""
    bootstrap: bool = False
    """Whether everything is put there that Spack itself starts from."""
    jobs: int = 4
    """How many sources are fetched at once."""
    signing: BinarySigning = BinarySigning()  # noqa: RUF009 - frozen
    source_cache: Store | None = None
    """A build cache to copy binaries from that are not installed."""


@dataclass(frozen=True)
class Result:
    """What was done: sources one by one, binaries by DAG hash, and what went wrong besides."""

    outcomes: tuple[ItemOutcome, ...] = ()
    binaries: frozenset[str] = frozenset()
    missing_binaries: tuple[MirrorItem, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def is_complete(self) -> bool:
        """Whether nothing is missing that could be there."""
        return not (self.missing_binaries or self.problems or any(one.problem for one in self.outcomes))


def require_possible(order: Order, destination_url: str) -> None:
    """Whether a mirror at this place can hold what is asked for. Raises `RefusedError`."""
    asked = [name for name, is_asked in (("recipes", order.recipes), ("bootstrap", order.bootstrap)) if is_asked]
    kind = kind_of(destination_url)
    if kind is BUCKET and asked:
        raise RefusedError(
            f"--{asked[0]}: git and Spack's bootstrap read folders and web servers, not buckets; fill a folder"
        )
    if kind is not REGISTRY:
        return
    if order.wanted.sources or asked or order.source_cache:
        what = "a copy of another cache" if order.source_cache else asked[0] if asked else "sources"
        raise RefusedError(
            f"{destination_url}: registries hold binaries that Spack has installed, not {what}; say --no-sources "
            "--binaries --unsigned"
        )
    if not order.signing.unsigned:
        raise RefusedError(
            f"{destination_url}: Spack signs nothing in registries, so whoever may push there decides what your users "
            "run; --unsigned says that this is meant"
        )


def plan(
    locks: Sequence[Lock], needs: SourceNeeds, destination: Destination | RegistryDestination, order: Order
) -> MirrorPlan:
    """What has to be put there; a file of the mirror with another checksum counts as missing."""
    found = comparison.make_plan(locks, needs, destination.place, order.wanted)
    if isinstance(destination, RegistryDestination):
        return found
    wrong = set(damaged(destination, [item for item in found.of(Status.PRESENT) if item.source]))
    if not wrong:
        return found
    reason = "what is there does not have the checksum of the recipe; it is fetched anew"
    items = (replace(item, status=Status.MISSING, reason=reason) if item in wrong else item for item in found.items)
    return replace(found, items=tuple(items))


def create(
    spack: SpackProgram,
    locks: Sequence[Lock],
    found: MirrorPlan,
    destination: Destination | RegistryDestination,
    order: Order,
    done: Done,
) -> Result:
    """Do what was planned. Raises what Spack, the mirror and the file system make it raise; run again, it goes on."""
    if isinstance(destination, RegistryDestination):
        return Result((), *_binaries(spack, found, destination, order))
    before = frozenset(entries(destination.root)) if isinstance(destination, FolderDestination) else frozenset()
    outcomes = _sources(spack, locks, found, destination, order, done)
    binaries, missing = _binaries(spack, found, destination, order)
    problems = []
    if isinstance(destination, FolderDestination):
        problems = _extras(spack, locks, destination, order)
        if not any(one.problem for one in outcomes):
            tidy(destination.staging)
        adopt(destination.root, before, destination.permissions)
        share(destination.root, destination.permissions)
    return Result(outcomes, binaries, missing, tuple(problems))


def _sources(
    spack: SpackProgram, locks: Sequence[Lock], found: MirrorPlan, destination: Destination, order: Order, done: Done
) -> tuple[ItemOutcome, ...]:
    for item in found.of(Status.PRESENT):
        if item.source:
            destination.link(item.path, item.source.links)
    record_needs(destination, found.needs)
    missing = [item for item in found.of(Status.MISSING) if item.source]
    unknown = tuple(ItemOutcome(item, item.reason) for item in missing if not item.path)
    missing = [item for item in missing if item.path]
    if not missing:
        return unknown
    with tempfile.TemporaryDirectory(prefix="jc-mirror-") as folder:
        write_environment(Path(folder), locks)
        return (*unknown, *fill(spack, Path(folder), destination, missing, order.jobs, done))


def _binaries(
    spack: SpackProgram, found: MirrorPlan, destination: Destination | RegistryDestination, order: Order
) -> tuple[frozenset[str], tuple[MirrorItem, ...]]:
    missing = {item.path: item for item in found.of(Status.MISSING) if item.source is None}
    if not order.wanted.binaries:
        return frozenset(), ()
    put: frozenset[str] = frozenset()
    if missing:
        logger.info("pushing what is installed of %d binaries", len(missing))
        put = pushes.push(spack, destination, missing, order.signing, private=order.wanted.private)
    left = missing.keys() - put
    if order.source_cache and left and not isinstance(destination, RegistryDestination):
        put |= pushes.copy(order.source_cache, destination, left, order.signing)
    there: Mapping[str, int] = {}
    if put:
        pushes.update_index(spack, destination, order.signing)
        there = present_binaries(destination.place, put, found.needs)
    return frozenset(there), tuple(item for hash_, item in missing.items() if hash_ not in there)


def _extras(spack: SpackProgram, locks: Sequence[Lock], destination: FolderDestination, order: Order) -> list[str]:
    problems: list[str] = []
    if order.recipes:
        wanted = recipes.wanted_commits(spack, [lock.lockfile.spack_commit for lock in locks])
        failed = recipes.put(destination.root, wanted)
        problems += failed.values()
        before = destination.store.read(contents.COMMITS_KEY)
        put = [one for one in wanted if one not in failed]
        destination.store.write(contents.COMMITS_KEY, recipes.as_json(put, before.data if before else None))
    if order.bootstrap:
        try:
            problems += filter(None, [bootstrap_mirror.put(spack, destination)])
        except CouldNotAskError as error:
            problems.append(str(error))
    return problems
