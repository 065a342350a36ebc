"""The half of a mirror that holds sources: looking at it, looking again, and what to do if others were at work."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from typing import Final

from foundation.errors import NotThereError
from foundation.spack import layout_v2, layout_v3
from foundation.spack.source_needs import NEEDS_FOLDER as NEEDS_FOLDER
from foundation.spack.source_needs import NEEDS_KEY, SourceNeeds, read_needs
from foundation.stores.store import SPACKITOR_FOLDER, ChangedError, Store, StoredObject
from spackitor.inventory.quarantine import Run
from spackitor.inventory.roots import require_readable
from spackitor.inventory.sources import ARCHIVES, SourceInventory
from spackitor.policy.plan import CachePlan
from spackitor.removal.effects import Look, RunReport
from spackitor.survey.side_folder import read_side_folder, require_something

OTHERS: Final = {
    name.rstrip("/")
    for name in (
        ARCHIVES,
        NEEDS_FOLDER,
        SPACKITOR_FOLDER,
        layout_v2.FOLDER,
        layout_v3.FOLDER,
        layout_v3.BLOBS,
        "recipes",
        "bootstrap",
    )
}
"""The folders of a mirror that are not named after a package."""


def survey_sources(store: Store, *, may_be_empty: bool = True) -> SourceInventory:
    """Look at the sources of a mirror. A mirror without any gives an empty inventory.

    Raises `NotThereError` for one without anything, unless it may be empty.
    """
    folders = store.folders()
    require_something(store, folders, may_be_empty=may_be_empty)
    now = store.now()
    content = store.read(NEEDS_KEY)
    needs = read_needs(content.data, f"{store.url}/{NEEDS_KEY}") if content else SourceNeeds()
    runs, roots = read_side_folder(store) if SPACKITOR_FOLDER.rstrip("/") in folders else ((), ())
    archives = tuple(store.list(ARCHIVES)) if ARCHIVES.rstrip("/") in folders else ()
    tag = content.tag if content else None
    return SourceInventory(store.url, now, archives, tuple(_aliases(store, folders)), needs, tag, runs, roots)


def _aliases(store: Store, folders: Collection[str]) -> Iterator[StoredObject]:
    for folder in folders:
        if folder not in OTHERS:
            yield from store.list(f"{folder}/")


class MirroredSources:
    """The sources of a mirror, as a survey saw them."""

    def __init__(self, store: Store, inventory: SourceInventory) -> None:
        self._store = store
        self.inventory = inventory

    @property
    def now(self) -> float:
        """When the survey was taken."""
        return self.inventory.now

    def require_readable(self) -> None:
        """Raise `DamagedError` if there is a root set that cannot be read."""
        require_readable(self.inventory.url, self.inventory.roots)

    def look(self, plan: CachePlan, tags: Mapping[str, str] | None = None) -> Look:
        """Which archives were written again. Raises `ChangedError` if somebody has recorded other needs meanwhile."""
        content = self._store.read(NEEDS_KEY)
        if tags is not None and (content.tag if content else None) != tags.get(NEEDS_KEY, self.inventory.needs_tag):
            raise ChangedError(NEEDS_KEY)
        return Look(changed=self.rewritten(plan.metadata))

    def rewritten(self, keys: Collection[str]) -> frozenset[str]:
        """Which of these archives somebody wrote again."""
        wanted = set(keys)
        before = {one.key: one for one in self.inventory.archives}
        found = self._store.list(ARCHIVES) if wanted else ()
        return frozenset(one.key for one in found if one.key in wanted and one != before.get(one.key))

    def mend(
        self, plan: CachePlan, tags: Mapping[str, str], going: Collection[str], run: Run | None, report: RunReport
    ) -> None:
        """Bring back what somebody has come to need between the last look and its removal."""
        content = self._store.read(NEEDS_KEY)
        if run is None or content is None or content.tag == tags.get(NEEDS_KEY, self.inventory.needs_tag):
            return
        needed = SourceInventory("", 0, (), needs=read_needs(content.data, NEEDS_KEY))
        paths = needed.paths(frozenset(needed.needs.packages))
        for one in plan.removals:
            if one.hash in going and not paths.isdisjoint(one.metadata):
                for key in reversed(one.metadata):
                    with suppress(NotThereError):
                        self._store.copy(run.quarantined(key), key, as_new=True)
                report.spared = (*report.spared, one.hash)

    def remember(self, plan: CachePlan, report: RunReport) -> None:
        """A survey of sources reads next to nothing."""


def restore_sources(store: Store, run: Run) -> tuple[list[str], dict[str, str]]:
    """Bring the sources of a run back, and the record of who needs them.

    Returns the keys of what is back, and of what is not with the reasons.
    """
    folders = store.folders()
    there = {one.key for one in store.list(ARCHIVES)} | {one.key for one in _aliases(store, folders)}
    copies = {one.key for one in store.list(run.quarantined("").rpartition("/")[0] + "/")}
    back, failed = [], {}
    for key in reversed(run.moved):
        if key == NEEDS_KEY:
            continue
        if key not in there and run.quarantined(key) not in copies:
            failed[key] = "is no longer in the quarantine"
            continue
        if key not in there:
            store.copy(run.quarantined(key), key, as_new=True)
        back.append(key)
    _record_again(store, run, frozenset(back))
    return back, failed


def _record_again(store: Store, run: Run, back: frozenset[str]) -> None:
    old = store.read(run.quarantined(NEEDS_KEY))
    if old is None:
        return
    packages = read_needs(old.data, run.quarantined(NEEDS_KEY)).packages
    again = {hash_: one for hash_, one in packages.items() if any(source.path in back for source in one.sources)}
    while True:
        content = store.read(NEEDS_KEY)
        now = read_needs(content.data, NEEDS_KEY) if content else SourceNeeds()
        if again.keys() <= now.packages.keys():
            return
        try:
            store.write(NEEDS_KEY, SourceNeeds(again).merged(now).as_json(), replaces=content.tag if content else None)
        except ChangedError:
            continue
        return
