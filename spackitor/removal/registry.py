"""The binaries in a registry, while a plan is carried out. Its blobs are freed by its own garbage collection."""

from __future__ import annotations

import logging
import math
from collections.abc import Collection, Mapping
from dataclasses import replace

from foundation.errors import CouldNotAskError, DamagedError, RefusedError
from foundation.registries.mirror_store import RegistryStore
from foundation.spack import layout_oci
from foundation.spack.layout_oci import INDEX_TAG
from foundation.stores.store import ChangedError, StoredObject
from spackitor.inventory.inventory import Entry, Inventory
from spackitor.inventory.quarantine import Run
from spackitor.inventory.roots import require_readable
from spackitor.policy.plan import CachePlan
from spackitor.removal.effects import Look, RunReport
from spackitor.removal.indexes import ATTEMPTS, write_indexes
from spackitor.survey.registry import Ages, needs_of, read_ages, survey_registry, write_ages

logger = logging.getLogger(__name__)


class RegistryBinaries:
    """The binaries of a build cache in a registry, as a survey saw them.

    What nobody knows the age of counts as pushed when it is first seen.
    """

    def __init__(self, store: RegistryStore, inventory: Inventory) -> None:
        self._store = store
        self.inventory = replace(inventory, entries=tuple(_dated(one, inventory.now) for one in inventory.entries))
        self._ages = read_ages(store)

    @property
    def now(self) -> float:
        """When the survey was taken."""
        return self.inventory.now

    def require_readable(self) -> None:
        """Raise `DamagedError` if there is an index, or a root set, that cannot be read."""
        url = self.inventory.url
        require_readable(url, self.inventory.roots)
        for file in self.inventory.indexes:
            if file.damage:
                raise DamagedError(f"{url}: {file.damage}; to make it anew: spackitor reindex {url}")

    def look(self, plan: CachePlan, tags: Mapping[str, str] | None = None) -> Look:
        """Look again at all tags. With `tags`, raises `ChangedError` if somebody has written the index."""
        if not plan.metadata:
            return Look()
        before = self._before()
        now = self._store.tags()
        known = [tag for tag in now if tag in plan.metadata or tag == INDEX_TAG]
        digests = self._store.digests(known)
        if tags is not None and digests.get(INDEX_TAG) != (tags.get(INDEX_TAG) or self.inventory.indexes[0].tag):
            raise ChangedError(INDEX_TAG)
        changed = {tag for tag in plan.metadata if tag in digests and digests[tag] != before[tag]}
        new = changed.union(layout_oci.spec_tags(now).values()) - (before.keys() - changed)
        return Look(frozenset(changed), needs_of(self._store, new))

    def rewritten(self, keys: Collection[str]) -> frozenset[str]:
        """Blobs are never deleted here."""
        del keys
        return frozenset()

    def mend(
        self, plan: CachePlan, tags: Mapping[str, str], going: Collection[str], run: Run | None, report: RunReport
    ) -> None:
        """If somebody wrote the index meanwhile, or pushed what had already left it, make it fit again.

        Raises `RefusedError` if somebody else writes the index each time.
        """
        del run
        if not plan.metadata and not tags:
            return
        store = self._store
        expected = tags.get(INDEX_TAG) or self.inventory.indexes[0].tag
        back = set(store.tags()).intersection(plan.metadata) - report.failed.keys()
        if not back and not report.spared and store.digests([INDEX_TAG]).get(INDEX_TAG) == expected:
            return
        for _ in range(ATTEMPTS):
            inventory = survey_registry(store, may_be_empty=True)
            again = {one.hash for one in inventory.entries if back.intersection(m.key for m in one.metadata)}
            try:
                write_indexes(store, inventory, inventory.usable - (frozenset(going) - again))
            except ChangedError:
                continue
            return
        raise RefusedError(f"{store.url}: somebody else keeps writing the index; run 'spackitor check --fix' later")

    def remember(self, plan: CachePlan, report: RunReport) -> None:
        """Keep since when everything counts as pushed. Where that cannot be written, things go on without."""
        gone = set(plan.metadata) - report.failed.keys() if not report.spared else set()
        every = (one for entry in self.inventory.entries for one in entry.metadata)
        ages = {one.key: (one.tag, one.modified) for one in every if one.key not in gone}
        if ages != self._ages:
            _remember(self._store, ages)

    def _before(self) -> dict[str, str]:
        return {one.key: one.tag for entry in self.inventory.entries for one in entry.metadata}


def count_as_new(store: RegistryStore, digests: Mapping[str, str]) -> None:
    """Let what tags lead to count as pushed now, by digest: before it is brought back. Raises `CouldNotAskError`."""
    now = store.now()
    write_ages(store, {**read_ages(store), **{tag: (digest, now) for tag, digest in digests.items()}})


def _remember(store: RegistryStore, ages: Ages) -> None:
    try:
        write_ages(store, ages)
    except CouldNotAskError as error:
        logger.info("ages are not remembered: %s", error)


def _dated(entry: Entry, now: float) -> Entry:
    return replace(entry, metadata=tuple(_seen(one, now) for one in entry.metadata))


def _seen(one: StoredObject, now: float) -> StoredObject:
    return one if math.isfinite(one.modified) else replace(one, modified=now)
