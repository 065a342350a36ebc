"""The half of a mirror that holds binaries, while a plan is carried out: looking again, and mending its indexes."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Final

from foundation.errors import DamagedError, RefusedError
from foundation.spack import layout_v2, layout_v3
from foundation.spack.specs import spec_of
from foundation.stores.store import ChangedError, Store, StoredObject, read_all
from spackitor.inventory.inventory import Inventory
from spackitor.inventory.quarantine import Run
from spackitor.inventory.roots import require_readable
from spackitor.policy.plan import CachePlan
from spackitor.removal.effects import Look, RunReport
from spackitor.removal.indexes import ATTEMPTS, remember_manifests, write_indexes
from spackitor.survey.spec_files import spec_file_of
from spackitor.survey.survey import CacheSurvey, read_manifests, survey

logger = logging.getLogger(__name__)


FRESH_SECONDS: Final = 2.0
"""For so long, what was listed over a network counts as what is there: a large bucket takes much longer to list."""


class Binaries:
    """The binaries of a mirror, as a survey saw them; `stood` is what earlier attempts took out of views.

    Listings are used again while they are fresh, but for folders, which are looked at each time.
    """

    def __init__(
        self,
        store: Store,
        seen: CacheSurvey,
        stood: Mapping[str, frozenset[str]] | None = None,
    ) -> None:
        self._store, self._seen = store, seen
        self._fresh = FRESH_SECONDS if store.workers > 1 else 0.0
        self._looked, self._look = -math.inf, Look()
        self.inventory = replace(seen.inventory, stood=stood or {})

    @property
    def now(self) -> float:
        """When the survey was taken."""
        return self.inventory.now

    def require_readable(self) -> None:
        """Raise `DamagedError` if there is an index, or a root set, that cannot be read."""
        url = self.inventory.url
        require_readable(url, self.inventory.roots)
        for file in self.inventory.indexes:
            if file.damage and file.view:
                raise DamagedError(
                    f"{url}: {file.damage}; the view {file.view} has to be written anew by who owns it, with 'spack "
                    f"buildcache update-index --force --name {file.view}', or dropped: spackitor reindex {url}"
                )
            if file.damage:
                raise DamagedError(f"{url}: {file.damage}; to make it anew: spackitor reindex {url}")

    def look(self, plan: CachePlan, tags: Mapping[str, str] | None = None) -> Look:
        """Look again at what Spack finds specs by, and at what new ones need.

        With the `tags` of the indexes that were just written, raises `ChangedError` if somebody has written another
        since the plan was made: it may list what is to go.
        """
        if tags is None and self._is_fresh(self._looked):
            return self._look
        began = time.monotonic()
        self._look = self._new_look(plan, tags)
        self._looked = began
        return self._look

    def _is_fresh(self, when: float) -> bool:
        return time.monotonic() - when < self._fresh

    def _new_look(self, plan: CachePlan, tags: Mapping[str, str] | None) -> Look:
        inventory, store = self.inventory, self._store
        going = set(plan.metadata)
        if not going and not plan.archives and not plan.expired:
            return Look()
        before = {one.key: one.tag for entry in inventory.entries for one in entry.metadata}
        before |= {key: manifest.tag for key, manifest in self._seen.manifests.items()} | dict(tags or {})
        new = [one for one in _metadata(store, inventory) if before.get(one.key) != one.tag]
        if tags is not None:
            for one in new:
                if layout_v3.INDEX_MANIFEST.fullmatch(one.key):
                    raise ChangedError(one.key)
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
        if self._is_fresh(self._seen.began):
            return frozenset()
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
        del run
        store, gone = self._store, frozenset(going)
        stood = {key: hashes - gone for key, hashes in plan.views.items()}
        for _ in range(ATTEMPTS):
            if not report.spared and not self._indexes_changed(plan, tags):
                return
            inventory = replace(survey(store).inventory, stood=stood)
            try:
                write_indexes(store, inventory, inventory.usable - gone)
            except ChangedError:
                continue
            return
        raise RefusedError(f"{store.url}: somebody else keeps writing the index; run 'spackitor check --fix' later")

    def _indexes_changed(self, plan: CachePlan, tags: Mapping[str, str]) -> bool:
        """Whether somebody has written an index, or a view that was not there, since this run wrote its own."""
        if not plan.metadata and not tags:
            return False
        for key in tags.keys() & {layout_v2.INDEX}:
            content = self._store.read(key)
            if content is None or content.tag != tags[key]:
                return True
        before = {file.key: file.tag for file in self.inventory.indexes if file.tag} | dict(tags)
        expected = {(key, tag) for key, tag in before.items() if key.startswith(layout_v3.INDEXES)}
        if not expected and not any(key.startswith(layout_v3.FOLDER) for key in plan.metadata):
            return False
        found = self._store.list(layout_v3.INDEXES)
        return expected != {(one.key, one.tag) for one in found if layout_v3.INDEX_MANIFEST.fullmatch(one.key)}

    def remember(self, plan: CachePlan, report: RunReport) -> None:
        """Keep what manifests said for the next run, also those that can be brought back.

        Where that cannot be written, things go on without.
        """
        seen = self._seen
        stays = report.spared or report.quarantined
        gone = frozenset() if stays else set(plan.metadata) - report.failed.keys()
        if not seen.manifests or (seen.is_remembered and not gone & seen.manifests.keys()):
            return
        kept = {key: one for key, one in seen.manifests.items() if key not in gone}
        remember_manifests(self._store, {**seen.removed, **kept})


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
