"""Filling a mirror from beginning to end: sources, binaries, recipes, what Spack starts from, group and modes."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from foundation.errors import CouldNotAskError, RefusedError
from foundation.spack.program import SpackProgram
from foundation.spack.source_needs import SourceNeeds
from foundation.stores.schemes import BUCKET, REGISTRY, kind_of
from foundation.stores.store import Store
from job_creator.mirrors import contents
from job_creator.mirrors.contents import VERIFIED_KEY
from job_creator.mirrors.filling import bootstrap_mirror, pushes, recipes
from job_creator.mirrors.filling.destinations import Destination, FolderDestination, RegistryDestination
from job_creator.mirrors.filling.pushes import BinarySigning
from job_creator.mirrors.filling.sources import Done, ItemOutcome, fill, record_needs, tidy
from job_creator.mirrors.keys.spack_ring import SpackKeys
from job_creator.mirrors.needs import comparison, damage
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
    check: bool = False
    """Whether everything that is there already is read, and what is damaged put there again."""
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


def require_ready(spack: SpackProgram, order: Order, destination_url: str, now: float) -> None:
    """Whether this Spack can put binaries there at all, before anything is fetched. `now` is in seconds since 1970.

    Raises `NotThereError` and `RefusedError` for keys, `NotThereError` for what its Python lacks, `CouldNotAskError`.
    """
    if not order.wanted.binaries:
        return
    pushes.require_s3(spack, destination_url)
    # What is copied is signed already; only if some of it is installed here as well does Spack need a key.
    if not (order.signing.unsigned or order.source_cache):
        SpackKeys(spack.program).require_usable(order.signing.key, now)


def plan(
    locks: Sequence[Lock], needs: SourceNeeds, destination: Destination | RegistryDestination, order: Order
) -> MirrorPlan:
    """What has to be put there; what is damaged there counts as missing, and what was found right is remembered."""
    found = comparison.make_plan(locks, needs, destination.place, order.wanted)
    checked = damage.check(found, destination.place, again=order.check)
    if checked.is_news and not isinstance(destination, RegistryDestination):
        destination.store.write(VERIFIED_KEY, damage.verified_as_json(checked.verified))
    return checked.plan


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
        put |= pushes.copy(order.source_cache, destination, left, order.signing, anew=order.check)
    there: Collection[str] = ()
    if put:
        pushes.update_index(spack, destination, order.signing)
        there = present_binaries(destination.place, put, found.needs).keys()
        if order.check:
            there -= damage.damaged_binaries(destination.place, put, found.needs)
    lacking = {hash_: item for hash_, item in missing.items() if hash_ not in there}
    reasons = {hash_: _why_missing(destination, order, is_put=hash_ in put) for hash_ in lacking}
    return frozenset(there), tuple(replace(item, reason=reasons[hash_]) for hash_, item in lacking.items())


def _why_missing(destination: Destination | RegistryDestination, order: Order, *, is_put: bool) -> str:
    is_registry = isinstance(destination, RegistryDestination)
    if is_put and is_registry:
        # Content is stored by its digest; distribution/distribution looks no further than whether there is some.
        return (
            "was pushed, and the registry keeps the damaged content that it has of it; remove its tag, let the "
            "registry collect garbage, and run this again"
        )
    if is_put:
        return "was pushed, and what is there is not whole; is somebody else writing to the mirror? Run this again"
    if order.source_cache:
        return f"is neither installed in this Spack nor in {order.source_cache.url}"
    return "is not installed in this Spack; install it" + ("" if is_registry else ", or say --from-cache")


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
