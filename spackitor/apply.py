"""Carrying a plan out, in an order that leaves the mirror right for Spack wherever it stops.

The index stops listing what goes; then manifests and spec files go into the quarantine; then archives, where they are
not left for a time of grace. What somebody pushed meanwhile is looked at again before anything is deleted.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final
from uuid import uuid4

from job_creator.build_cache import layout_v3
from job_creator.build_cache.specs import spec_of
from job_creator.errors import CouldNotAskError, DamagedError, FileAccessError, RefusedError
from job_creator.store import ChangedError, Store, StoredObject, copy_all, in_groups, read_all
from spackitor import remembered
from spackitor.inventory import Inventory
from spackitor.layouts import Write, v2
from spackitor.plan import Plan, Removal, index_changes, replaced_blobs
from spackitor.quarantine import Run, run_as_json, run_id
from spackitor.survey import Survey, read_manifests, spec_file_of, survey

_GROUP: Final = 1000
_ATTEMPTS: Final = 5
_GRACE_OF_INDEXES: Final = 7 * 86400.0

logger = logging.getLogger(__name__)

Progress = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done and how much there is."""


@dataclass
class Report:
    """What a run did. `spared` are DAG hashes that were planned to go and that somebody turned out to need."""

    removed: int = 0
    deleted: int = 0
    quarantined: int = 0
    left: int = 0
    spared: tuple[str, ...] = ()
    failed: dict[str, str] = field(default_factory=dict)

    def as_value(self) -> dict[str, Any]:
        """For machines."""
        return asdict(self)


@dataclass(frozen=True)
class _Look:
    """What was pushed since the inventory was taken."""

    changed: frozenset[str]
    needed: frozenset[str]
    blobs: frozenset[str]


def apply(store: Store, plan: Plan, seen: Survey, run: Run | None, progress: Progress) -> Report:
    """Carry a plan out; with a `run`, what goes can be brought back.

    Raises `RefusedError` before the first effect if the store may not be written, and `ChangedError` before anything is
    deleted if somebody wrote an index meanwhile: then it is time for another plan.
    """
    inventory, report = seen.inventory, Report()
    if not plan.is_empty:
        store.require_writable((*plan.metadata, *plan.archives, *(write.key for write in _writes(plan))))
        if run:
            store.write(run.key, run_as_json(run))
        tags = _write_indexes(store, plan, progress)
        look = _look(store, inventory, plan)
        removals, metadata = _still_going(plan, look)
        going = {one.hash for one in removals}
        report.spared = tuple(one.hash for one in plan.removals if one.hash not in going)
        _remove_metadata(store, metadata, run, report, progress)
        report.removed = sum(report.failed.keys().isdisjoint(one.metadata) for one in removals)
        archives = _archives(plan, going, look)
        if run:
            report.left = len(archives)
            done = replace(
                run, moved=tuple(metadata), left=tuple(archives), hashes=tuple(sorted(going)), is_finished=True
            )
            archives = []
        _remove_for_good(store, inventory, plan, archives, report, progress)
        if run:
            store.write(run.key, run_as_json(done))
        _mend_indexes(store, tags, going, report)
    _remember(store, seen, plan, report)
    return report


def _writes(plan: Plan) -> Iterable[Write]:
    return (write for change in plan.indexes for write in change.writes)


def _write_indexes(store: Store, plan: Plan, progress: Progress) -> dict[str, str]:
    """Write the indexes; returns the tags that they have then."""
    tags: dict[str, str] = {}
    for number, change in enumerate(plan.indexes, 1):
        for write in change.writes:
            tags[write.key] = store.write(write.key, write.data, replaces=write.replaces, no_cache=write.no_cache)
        progress("writing indexes", number, len(plan.indexes))
    return {change.key: tags[change.key] for change in plan.indexes}


def _look(store: Store, inventory: Inventory, plan: Plan) -> _Look:
    """Look again at what Spack finds specs by, and at what new ones need."""
    going = set(plan.metadata)
    if not going and not plan.archives and not plan.expired:
        return _Look(frozenset(), frozenset(), frozenset())
    before = {one.key: one.tag for entry in inventory.entries for one in entry.metadata}
    listed = _metadata(store, inventory)
    new = [one for one in listed if before.get(one.key) != one.tag]
    manifests = read_manifests(store, [one for one in new if one.key.startswith(layout_v3.MANIFESTS)], {})
    spec_files = {one.key for one in new if one.key.startswith(v2.FOLDER)}
    spec_files |= {blob.key for manifest in manifests.values() if (blob := layout_v3.spec_blob(manifest))}
    blobs = {blob.key for manifest in manifests.values() for blob in manifest.blobs}
    return _Look(
        frozenset(one.key for one in new if one.key in going),
        _needed(store, spec_files),
        frozenset(blobs),
    )


def _metadata(store: Store, inventory: Inventory) -> list[StoredObject]:
    folders = {v2.FOLDER if entry.layout == "v2" else layout_v3.MANIFESTS for entry in inventory.entries}
    found = [one for folder in sorted(folders) for one in store.list(folder)]
    return [one for one in found if layout_v3.is_manifest(one.key) or v2.is_spec_file(one.key)]


def _needed(store: Store, spec_files: Collection[str]) -> frozenset[str]:
    """Everything that specs which were just pushed need to run."""
    needed: set[str] = set()
    for key, content in read_all(store, sorted(spec_files)):
        try:
            specs = {node["hash"]: spec_of(node) for node in spec_file_of(content, "", key).nodes}
        except DamagedError as error:
            logger.warning("%s", error)
            continue
        todo = [next(iter(specs))]
        while todo:
            hash_ = todo.pop()
            if hash_ not in needed:
                needed.add(hash_)
                todo += specs[hash_].dependencies if hash_ in specs else ()
    return frozenset(needed)


def _still_going(plan: Plan, look: _Look) -> tuple[tuple[Removal, ...], list[str]]:
    spared = {one.hash for one in plan.removals if one.hash in look.needed or not look.changed.isdisjoint(one.metadata)}
    removals = tuple(one for one in plan.removals if one.hash not in spared)
    staying = {key for one in plan.removals if one.hash in spared for key in one.metadata} | look.changed
    return removals, [key for key in plan.metadata if key not in staying]


def _archives(plan: Plan, going: Collection[str], look: _Look) -> list[str]:
    spared = {key for one in plan.removals if one.hash not in going for key in one.archives} | look.blobs
    return [key for key in plan.archives if key not in spared]


def _remove_metadata(store: Store, keys: list[str], run: Run | None, report: Report, progress: Progress) -> None:
    done = 0
    for group in in_groups(keys, _GROUP):
        if run:
            vanished = copy_all(store, [(key, run.quarantined(key)) for key in group])
            report.quarantined += len(group) - len(vanished)
        _delete(store, group, report)
        done += len(group)
        progress("removing specs", done, len(keys))


def _remove_for_good(
    store: Store, inventory: Inventory, plan: Plan, archives: list[str], report: Report, progress: Progress
) -> None:
    """Delete archives, what has been in the quarantine long enough, and then the records of that."""
    doomed = [*archives, *(one.key for one in plan.expired)]
    if doomed:
        # At the last moment: a push may have brought the same content again, or something that leads to it.
        used = _look(store, inventory, plan).blobs | _rewritten(store, inventory, doomed)
        doomed = [key for key in doomed if key not in used]
    copies = [run.quarantined(key) for run in plan.expired_runs for key in run.moved]
    records = [run.key for run in plan.expired_runs]
    total = len(doomed) + len(copies)
    done = 0
    for group in in_groups((*doomed, *copies), _GROUP):
        _delete(store, group, report)
        done += len(group)
        progress("deleting for good", done, total)
    _delete(store, records, report)


def _rewritten(store: Store, inventory: Inventory, keys: Collection[str]) -> frozenset[str]:
    before = {one.key: one for entry in inventory.entries for one in entry.archives}
    before |= {orphan.object.key: orphan.object for orphan in inventory.orphans}
    folders = sorted({v2.FOLDER if key.startswith(v2.FOLDER) else layout_v3.BLOBS for key in keys})
    wanted = set(keys)
    return frozenset(
        one.key
        for folder in folders
        for one in store.list(folder)
        # On S3 the tag of the same content is the same; the time is not.
        if one.key in wanted and one != before.get(one.key, one)
    )


def _delete(store: Store, keys: Collection[str], report: Report) -> None:
    if keys:
        failed = store.delete(keys)
        report.failed.update(failed)
        report.deleted += len(keys) - len(failed)


def _mend_indexes(store: Store, tags: dict[str, str], removed: Collection[str], report: Report) -> None:
    """If somebody wrote an index meanwhile, or needs what had already left it, make it fit again."""
    for _ in range(_ATTEMPTS):
        inventory = survey(store).inventory if report.spared or _changed(store, tags) else None
        if inventory is None:
            return
        try:
            write_indexes(store, inventory, inventory.usable - set(removed))
        except ChangedError:
            continue
        return
    raise RefusedError(f"{store.url}: somebody else keeps writing the index; run 'spackitor check --fix' later")


def _changed(store: Store, tags: dict[str, str]) -> bool:
    contents = {key: store.read(key) for key in tags}
    return any(content is None or content.tag != tags[key] for key, content in contents.items())


def write_indexes(store: Store, inventory: Inventory, kept: Iterable[str]) -> int:
    """Write the indexes so that they list what is kept; returns how many had to be. Raises `ChangedError`.

    The blobs of those before, which clients may still be reading, are left for a time of grace.
    """
    changes = index_changes(inventory, kept)
    blobs = tuple(replaced_blobs(inventory, changes))
    if blobs:
        name = run_id(inventory.now, uuid4().hex[:4])
        until, size = inventory.now + _GRACE_OF_INDEXES, sum(one.size for one in blobs)
        run = Run(name, "index", until, (), tuple(one.key for one in blobs), (), size, is_finished=True)
        store.write(run.key, run_as_json(run))
    for change in changes:
        for write in change.writes:
            store.write(write.key, write.data, replaces=write.replaces, no_cache=write.no_cache)
    return len(changes)


def _remember(store: Store, seen: Survey, plan: Plan, report: Report) -> None:
    """Keep what manifests said for the next run. A convenience: where it cannot be written, things go on without."""
    gone = set(plan.metadata) - report.failed.keys()
    if not seen.manifests or (seen.is_remembered and not gone & seen.manifests.keys()):
        return
    kept = {key: one for key, one in seen.manifests.items() if key not in gone or report.spared}
    try:
        store.write(remembered.KEY, remembered.manifests_as_bytes(kept))
    except (CouldNotAskError, FileAccessError) as error:
        logger.info("what was read is not remembered: %s", error)
