"""Carrying a plan out, in an order that leaves the mirror right for Spack wherever it stops.

What always holds: whatever an index lists can be installed, and whatever goes is on record before it goes. From this
follows the order, and after each step a run may end without harm:

1. With a quarantine, the record of the run is written: who interrupts the run can still bring everything back.
2. The indexes stop listing what goes, so that no Spack starts to install it from now on. They are only replaced if they
   are still those that the plan was made from.
3. The mirror is looked at again. What somebody wrote or needs since the plan was made is spared.
4. Manifests and spec files are copied into the quarantine and deleted; without them nothing leads to an archive.
5. Archives are deleted, or left in place for the time of grace, for installations that have begun.
6. The record of the run is written again, complete. If somebody wrote an index meanwhile, it is made to fit.

What a run leaves that ended between two steps are objects that nothing leads to; the next run finds and removes them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, Protocol

from foundation.progress import StageProgress
from foundation.stores.store import Store, copy_all, in_groups
from spackitor.inventory.quarantine import Run, run_as_json
from spackitor.layouts import Write
from spackitor.policy.plan import CachePlan, SpecRemoval

_GROUP: Final = 1000


@dataclass
class RunReport:
    """What a run did. `spared` are DAG hashes that were planned to go and that somebody turned out to need."""

    removed: int = 0
    """Specs or sources that no longer can be found."""
    deleted: int = 0
    """Objects, as are the next two."""
    quarantined: int = 0
    """Copied into the quarantine before they were deleted."""
    left: int = 0
    """Archives that stay where they are for the time of grace."""
    spared: tuple[str, ...] = ()
    failed: dict[str, str] = field(default_factory=dict)
    """What could not be deleted: reasons by key."""

    def as_value(self) -> dict[str, Any]:
        """The report as JSON has it."""
        return asdict(self)


@dataclass(frozen=True)
class Look:
    """What happened since the plan was made.

    `changed` are keys of metadata that somebody wrote, `needed` DAG hashes that what is new needs, and `blobs` the keys
    that new manifests lead to.
    """

    changed: frozenset[str] = frozenset()
    needed: frozenset[str] = frozenset()
    blobs: frozenset[str] = frozenset()


class Half(Protocol):
    """What a plan is about, the binaries of a mirror or its sources, as it was when the plan was made."""

    @property
    def now(self) -> float:
        """When that was, by the clock of the store."""

    def require_readable(self) -> None:
        """Raise `DamagedError` if there is no telling what is in use."""

    def look(self, plan: CachePlan, tags: Mapping[str, str] | None = None) -> Look:
        """Look again, before anything is deleted. `tags` are those of the indexes that were just written.

        With `tags`, raises `ChangedError` if what the plan rests on has changed, so that there has to be another.
        """

    def rewritten(self, keys: Collection[str]) -> frozenset[str]:
        """Which of these archives somebody wrote again."""

    def mend(
        self, plan: CachePlan, tags: Mapping[str, str], going: Collection[str], run: Run | None, report: RunReport
    ) -> None:
        """If somebody wrote an index meanwhile, or needs what had already gone, make it fit again."""

    def remember(self, plan: CachePlan, report: RunReport) -> None:
        """Keep what the next run would otherwise have to read again."""


def apply(
    store: Store, plan: CachePlan, half: Half, run: Run | None, tags: dict[str, str], progress: StageProgress
) -> RunReport:
    """Carry a plan out; with a `run`, what goes can be brought back. `tags` gets those of the indexes that it writes.

    Raises `RefusedError` before the first effect if the store may not be written, and `ChangedError` before anything is
    deleted if somebody wrote an index meanwhile: then it is time for another plan, whose run has the same record. In
    the end this tells what the run itself moved or left; of a run that came too late for everything, none stays.
    """
    report = RunReport()
    if not plan.is_empty:
        store.require_writable((*plan.metadata, *plan.archives, *(write.key for write in _writes(plan))))
        if run:
            store.write(run.key, run_as_json(run))
        _write_indexes(store, plan, run, tags, progress)
        look = half.look(plan, tags)
        removals, metadata = _still_going(plan, look)
        going = {one.hash for one in removals}
        report.spared = tuple(one.hash for one in plan.removals if one.hash not in going)
        moved = _remove_metadata(store, metadata, run, report, lambda *how: progress(f"removing {plan.things}", *how))
        if run:
            # What somebody else removed a moment earlier is for the record of that run.
            removals = tuple(one for one in removals if not moved.isdisjoint(one.metadata))
        report.removed = sum(report.failed.keys().isdisjoint(one.metadata) for one in removals)
        archives = _archives(plan, {one.hash for one in removals}, look)
        done = _record(run, plan, moved, archives, removals) if run else None
        if run:
            report.left = len(archives)
            archives = []
        _remove_for_good(store, half, plan, archives, report, progress)
        if done:
            store.write(done.key, run_as_json(done))
        elif run:
            kept = (run.quarantined(change.key) for change in plan.indexes if change.is_kept)
            store.delete([run.key, *run.index_copies, *kept])
        half.mend(plan, tags, going, run, report)
    half.remember(plan, report)
    return report


def _record(
    run: Run, plan: CachePlan, moved: Collection[str], left: Collection[str], removals: Collection[SpecRemoval]
) -> Run | None:
    """What the run did in the end; `None` if that is nothing."""
    if not moved and not left:
        return None
    kept = (change.key for change in plan.indexes if change.is_kept)
    hashes = {one.hash for one in removals}
    views = {key: tuple(sorted(leaving & hashes)) for key, leaving in plan.views.items() if leaving & hashes}
    every = (*kept, *(key for key in plan.metadata if key in moved))
    return replace(run, moved=every, left=tuple(left), hashes=tuple(sorted(hashes)), views=views, is_finished=True)


def _writes(plan: CachePlan) -> Iterable[Write]:
    return (write for change in plan.indexes for write in change.writes)


def _write_indexes(
    store: Store, plan: CachePlan, run: Run | None, tags: dict[str, str], progress: StageProgress
) -> None:
    for number, change in enumerate(plan.indexes, 1):
        if run and (change.is_kept or run.quarantined(change.key) in run.indexes):
            store.copy(change.key, run.quarantined(change.key))
        for write in change.writes:
            tag = store.write(write.key, write.data, replaces=write.replaces, no_cache=write.no_cache)
            if write.key == change.key:
                tags[write.key] = tag
        progress("writing indexes", number, len(plan.indexes))


def _still_going(plan: CachePlan, look: Look) -> tuple[tuple[SpecRemoval, ...], list[str]]:
    spared = {one.hash for one in plan.removals if one.hash in look.needed or not look.changed.isdisjoint(one.metadata)}
    removals = tuple(one for one in plan.removals if one.hash not in spared)
    staying = {key for one in plan.removals if one.hash in spared for key in one.metadata} | look.changed
    return removals, [key for key in plan.metadata if key not in staying]


def _archives(plan: CachePlan, going: Collection[str], look: Look) -> list[str]:
    spared = {key for one in plan.removals if one.hash not in going for key in one.archives} | look.blobs
    return [key for key in plan.archives if key not in spared]


def _remove_metadata(
    store: Store, keys: list[str], run: Run | None, report: RunReport, progress: Callable[[int, int], None]
) -> set[str]:
    """Returns the keys of what was there, and with a `run` is in its quarantine now."""
    done = 0
    moved: set[str] = set()
    for group in in_groups(keys, _GROUP):
        if run:
            vanished = copy_all(store, [(key, run.quarantined(key)) for key in group])
            group = tuple(key for key in group if key not in vanished)
            report.quarantined += len(group)
        moved.update(group)
        _delete(store, group, report)
        done += len(group)
        progress(done, len(keys))
    return moved


def _remove_for_good(
    store: Store, half: Half, plan: CachePlan, archives: list[str], report: RunReport, progress: StageProgress
) -> None:
    """Delete archives, what has been in the quarantine long enough, and then the records of that."""
    doomed = [*archives, *(one.key for one in plan.expired)]
    if doomed:
        # At the last moment: a push may have brought the same content again, or something that leads to it.
        with ThreadPoolExecutor(2) as pool:
            looks = pool.submit(half.look, plan), pool.submit(half.rewritten, doomed)
            used = looks[0].result().blobs | looks[1].result()
        doomed = [key for key in doomed if key not in used]
    copies = [copy for run in plan.expired_runs for copy in (*map(run.quarantined, run.moved), *run.index_copies)]
    records = [run.key for run in plan.expired_runs]
    total = len(doomed) + len(copies)
    done = 0
    for group in in_groups((*doomed, *copies), _GROUP):
        _delete(store, group, report)
        done += len(group)
        progress("deleting for good", done, total)
    _delete(store, records, report)


def _delete(store: Store, keys: Collection[str], report: RunReport) -> None:
    if keys:
        failed = store.delete(keys)
        report.failed.update(failed)
        report.deleted += len(keys) - len(failed)
