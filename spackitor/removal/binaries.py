"""The half of a mirror that holds binaries, while a plan is carried out: looking again, and mending its indexes."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping
from typing import Final
from uuid import uuid4

from foundation.errors import CouldNotAskError, DamagedError, FileAccessError, RefusedError
from foundation.spack import layout_v2, layout_v3
from foundation.spack.specs import spec_of
from foundation.stores.store import ChangedError, Store, StoredObject, read_all
from spackitor.inventory import remembered
from spackitor.inventory.inventory import Inventory
from spackitor.inventory.quarantine import Run, run_as_json, run_id
from spackitor.policy.plan import CachePlan, index_changes, replaced_blobs
from spackitor.removal.effects import Look, RunReport
from spackitor.survey.survey import CacheSurvey, read_manifests, spec_file_of, survey

_ATTEMPTS: Final = 5
_GRACE_OF_INDEXES: Final = 7 * 86400.0

logger = logging.getLogger(__name__)


class Binaries:
    """The binaries of a mirror, as a survey saw them."""

    def __init__(self, store: Store, seen: CacheSurvey) -> None:
        self._store, self._seen = store, seen
        self.inventory = seen.inventory

    @property
    def now(self) -> float:
        """When the survey was taken."""
        return self.inventory.now

    def require_readable(self) -> None:
        """Raise `DamagedError` if there is an index that cannot be read."""
        for file in self.inventory.indexes:
            if file.damage:
                url = self.inventory.url
                raise DamagedError(f"{url}: {file.damage}; to make it anew: spackitor reindex {url}")

    def look(self, plan: CachePlan, tags: Mapping[str, str]) -> Look:
        """Look again at what Spack finds specs by, and at what new ones need."""
        del tags
        inventory, store = self.inventory, self._store
        going = set(plan.metadata)
        if not going and not plan.archives and not plan.expired:
            return Look()
        before = {one.key: one.tag for entry in inventory.entries for one in entry.metadata}
        listed = _metadata(store, inventory)
        new = [one for one in listed if before.get(one.key) != one.tag]
        manifests = read_manifests(store, [one for one in new if one.key.startswith(layout_v3.MANIFESTS)], {})
        spec_files = {one.key for one in new if one.key.startswith(layout_v2.FOLDER)}
        spec_files |= {blob.key for manifest in manifests.values() if (blob := layout_v3.spec_blob(manifest))}
        blobs = {blob.key for manifest in manifests.values() for blob in manifest.blobs}
        return Look(
            frozenset(one.key for one in new if one.key in going),
            _needed(store, spec_files),
            frozenset(blobs),
        )

    def rewritten(self, keys: Collection[str]) -> frozenset[str]:
        """Which of these archives somebody wrote again."""
        inventory = self.inventory
        before = {one.key: one for entry in inventory.entries for one in entry.archives}
        before |= {orphan.object.key: orphan.object for orphan in inventory.orphans}
        folders = sorted({layout_v2.FOLDER if key.startswith(layout_v2.FOLDER) else layout_v3.BLOBS for key in keys})
        wanted = set(keys)
        return frozenset(
            one.key
            for folder in folders
            for one in self._store.list(folder)
            # On S3 the tag of the same content is the same; the time is not.
            if one.key in wanted and one != before.get(one.key, one)
        )

    def mend(
        self, plan: CachePlan, tags: Mapping[str, str], going: Collection[str], run: Run | None, report: RunReport
    ) -> None:
        """If somebody wrote an index meanwhile, or needs what had already left it, make it fit again.

        Raises `RefusedError` if somebody else writes the index each time.
        """
        del plan, run
        store = self._store
        for _ in range(_ATTEMPTS):
            inventory = survey(store).inventory if report.spared or _changed(store, tags) else None
            if inventory is None:
                return
            try:
                write_indexes(store, inventory, inventory.usable - set(going))
            except ChangedError:
                continue
            return
        raise RefusedError(f"{store.url}: somebody else keeps writing the index; run 'spackitor check --fix' later")

    def remember(self, plan: CachePlan, report: RunReport) -> None:
        """Keep what manifests said for the next run. Where that cannot be written, things go on without."""
        seen = self._seen
        gone = set(plan.metadata) - report.failed.keys()
        if not seen.manifests or (seen.is_remembered and not gone & seen.manifests.keys()):
            return
        kept = {key: one for key, one in seen.manifests.items() if key not in gone or report.spared}
        try:
            self._store.write(remembered.KEY, remembered.manifests_as_bytes(kept))
        except (CouldNotAskError, FileAccessError) as error:
            logger.info("what was read is not remembered: %s", error)


def _metadata(store: Store, inventory: Inventory) -> list[StoredObject]:
    folders = {layout_v2.FOLDER if entry.layout == "v2" else layout_v3.MANIFESTS for entry in inventory.entries}
    found = [one for folder in sorted(folders) for one in store.list(folder)]
    return [one for one in found if layout_v3.is_manifest(one.key) or layout_v2.is_spec_file(one.key)]


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


def _changed(store: Store, tags: Mapping[str, str]) -> bool:
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
