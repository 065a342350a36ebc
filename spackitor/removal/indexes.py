"""Writing indexes outside of plans: so that they fit again, made anew, or dropped where they cannot be read."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final
from uuid import uuid4

from foundation.errors import CouldNotAskError, DamagedError, FileAccessError, RefusedError
from foundation.spack import layout_v3
from foundation.spack.releases import Layout
from foundation.stores.store import ChangedError, Store
from spackitor.inventory import remembered
from spackitor.inventory.inventory import IndexFile, Inventory
from spackitor.inventory.quarantine import Run, run_as_json, run_id
from spackitor.policy.plan import index_changes, replaced_blobs
from spackitor.survey.survey import Known, survey

ATTEMPTS: Final = 5
_GRACE_OF_INDEXES: Final = 7 * 86400.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class IndexesMade:
    """How many specs the cache has, and the names of views that could not be read and are dropped.

    `has_main` is false for a cache that has views only.
    """

    specs: int
    has_main: bool
    dropped: tuple[str, ...] = ()


def write_indexes(store: Store, inventory: Inventory, kept: Iterable[str]) -> int:
    """Write the indexes so that they list what is kept; returns how many had to be. Raises `ChangedError`.

    The blobs of those before, which clients may still be reading, are left for a time of grace.
    """
    changes = index_changes(inventory, kept)
    run = _run(inventory, {one.key: one.size for one in replaced_blobs(inventory, changes)})
    if run:
        store.write(run.key, run_as_json(run))
    for number, change in enumerate(changes):
        for write in change.writes:
            try:
                store.write(write.key, write.data, replaces=write.replaces, no_cache=write.no_cache)
            except ChangedError:
                if run and not number:
                    store.delete([run.key])
                raise
    return len(changes)


def _run(inventory: Inventory, blobs: Mapping[str, int]) -> Run | None:
    if not blobs:
        return None
    name = run_id(inventory.now, uuid4().hex[:4])
    until = inventory.now + _GRACE_OF_INDEXES
    return Run(name, "index", until, (), tuple(blobs), (), sum(blobs.values()), is_finished=True)


def make_indexes_fit(store: Store, *, anew: bool = False, may_be_empty: bool = True) -> IndexesMade:
    """Make the indexes of a mirror fit its objects, with the records of all specs read anew if `anew`.

    A main index lists every spec that can be used, a view those that it listed before. Of a view that cannot be read,
    nobody knows what it listed: half of one that looks whole would be worse than none, so it is dropped.

    Raises `RefusedError` if somebody else writes the index each time, `CouldNotAskError`, and what `survey` does.
    """
    for _ in range(ATTEMPTS):
        inventory = survey(store, may_be_empty=may_be_empty).inventory
        damaged = [file for file in inventory.indexes if file.damage]
        if anew or damaged:
            inventory = survey(store, every_spec_file=True).inventory
        store.require_writable([file.key for file in inventory.indexes])
        try:
            write_indexes(store, inventory, inventory.usable)
        except ChangedError:
            continue
        has_main = any(
            not file.view and (file.tag or not inventory.has_views(file.layout)) for file in inventory.indexes
        )
        return IndexesMade(len(inventory.usable), has_main, tuple(_dropped(store, inventory.indexes)))
    raise RefusedError(f"{store.url}: somebody else keeps writing the index; try again later")


def add_what_is_new(
    store: Store, views: Mapping[str, Iterable[str]] | None = None, *, only: bool = False, may_be_empty: bool = True
) -> IndexesMade:
    """Let the indexes list what was pushed since they were written, and read only what is new.

    `views` are DAG hashes to be added to views, by the name of the view; one that is not there is made, and if it is to
    list these `only`, whatever else it lists leaves it. An index is written only if nobody else did so meanwhile, and
    else looked at anew: an `update-index` of Spack that runs meanwhile is not undone, and what is pushed meanwhile is
    there the next time.

    Raises `RefusedError` if somebody else writes the index each time, `DamagedError` for an index that cannot be read,
    and what `survey` does.
    """
    stood = {layout_v3.index_of(name): frozenset(hashes) for name, hashes in (views or {}).items()}
    names = {layout_v3.index_of(name): name for name in views or {}}
    for _ in range(ATTEMPTS):
        seen = survey(store, may_be_empty=may_be_empty)
        inventory = seen.inventory
        for file in inventory.indexes:
            if file.damage:
                raise DamagedError(f"{store.url}: {file.damage}; to make it anew: spackitor reindex {store.url}")
        there = {file.key for file in inventory.indexes}
        new = tuple(IndexFile(Layout.V3, key, None, None, name) for key, name in names.items() if key not in there)
        inventory = replace(inventory, stood=stood, indexes=(*inventory.indexes, *new), chosen=stood if only else {})
        store.require_writable([file.key for file in inventory.indexes])
        try:
            write_indexes(store, inventory, inventory.usable)
        except ChangedError:
            continue
        if not seen.is_remembered:
            remember_manifests(store, {**seen.removed, **seen.manifests})
        has_main = any(not file.view and file.tag for file in inventory.indexes) or not inventory.has_views(Layout.V3)
        return IndexesMade(len(inventory.usable), has_main)
    raise RefusedError(f"{store.url}: somebody else keeps writing the index; try again later")


def remember_manifests(store: Store, manifests: Mapping[str, layout_v3.SpecManifest]) -> None:
    """Keep what manifests said for the next look. Where that cannot be written, things go on without."""
    try:
        store.write(remembered.KEY, remembered.manifests_as_bytes(manifests))
    except (CouldNotAskError, FileAccessError) as error:
        logger.info("what was read is not remembered: %s", error)


def _dropped(store: Store, indexes: Iterable[IndexFile]) -> Iterable[str]:
    for file in indexes:
        if not file.view or not file.damage:
            continue
        content = store.read(file.key)
        if content is None or content.tag != file.tag:  # its owner was faster
            continue
        if failed := store.delete([file.key]):
            raise CouldNotAskError(f"{file.key}: cannot be read, and could not be dropped: {failed[file.key]}")
        yield file.view


def list_again(
    store: Store, hashes: Iterable[str], views: Mapping[str, Iterable[str]], before: Known | None = None
) -> None:
    """Let the indexes list specs that are back, and views those that stood in them, by the keys of the views.

    What is known of them `before` is not read.

    A view that its owner has dropped meanwhile stays away. Raises `RefusedError` if somebody else writes the index each
    time.
    """
    back, stood = frozenset(hashes), {key: frozenset(some) for key, some in views.items()}
    for _ in range(ATTEMPTS):
        inventory = replace(survey(store, before=before).inventory, stood=stood)
        for key in stood.keys() - {file.key for file in inventory.indexes}:
            logger.warning("%s: is no longer there, so nothing is put back into it", key)
        try:
            write_indexes(store, inventory, (inventory.usable - inventory.unlisted).union(back))
        except ChangedError:
            continue
        return
    raise RefusedError(f"{store.url}: somebody else keeps writing the index; run 'spackitor check --fix' later")
