"""Looking at a mirror: from LIST pages, the indexes, and as few other objects as possible, to an inventory."""

from __future__ import annotations

import logging
import math
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, cast

from foundation.errors import DamagedError, FileAccessError, NotThereError, RefusedError
from foundation.spack import layout_v2, layout_v3
from foundation.spack.releases import DATABASE_OF_SPECFILE, Layout
from foundation.spack.source_needs import NEEDS_FOLDER as NEEDS_FOLDER
from foundation.spack.specs import Node, Spec, spec_of
from foundation.stores.schemes import REGISTRY, kind_of
from foundation.stores.store import SPACKITOR_FOLDER, Content, Store, StoredObject, look_at_all, read_all
from spackitor.inventory import remembered
from spackitor.inventory.inventory import Entry, IndexFile, Inventory, Orphan
from spackitor.inventory.quarantine import Run
from spackitor.inventory.sources import ARCHIVES
from spackitor.layouts import v2, v3
from spackitor.survey.side_folder import read_side_folder, require_something
from spackitor.survey.spec_files import spec_file_of

if TYPE_CHECKING:
    from foundation.registries.mirror_store import RegistryStore

_LAYOUT_FOLDER: Final = re.compile(r"v\d+")
_SOURCES: Final = {ARCHIVES.rstrip("/"), NEEDS_FOLDER.rstrip("/")}
"""Folders of mirrors that hold sources, beside a build cache or without one."""
_MOST_LOOKS: Final = 500
"""Of more objects than this, a listing costs less."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class CacheSurvey:
    """What a look at a mirror gave: the inventory, and the manifests to be remembered for the next one."""

    inventory: Inventory
    manifests: Mapping[str, layout_v3.SpecManifest]
    is_remembered: bool
    removed: Mapping[str, layout_v3.SpecManifest] = field(default_factory=dict)
    """What is remembered of manifests that are in the quarantine, by the keys that they had."""
    began: float = -math.inf
    """When the look began, by the clock of this process that never goes back, in seconds."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known before a look, and need not be read: manifests by key, and nodes with their database version."""

    manifests: Mapping[str, layout_v3.SpecManifest] = field(default_factory=dict)
    nodes: Mapping[str, tuple[int, Node]] = field(default_factory=dict)


@dataclass
class _Found:
    """What the layouts add up to."""

    entries: list[Entry] = field(default_factory=list)
    orphans: list[Orphan] = field(default_factory=list)
    indexes: list[IndexFile] = field(default_factory=list)
    used_blobs: frozenset[str] = frozenset()
    has_unreadable_manifests: bool = False
    objects: int = 0
    unrecognised: int = 0
    manifests: dict[str, layout_v3.SpecManifest] = field(default_factory=dict)
    known: Mapping[str, layout_v3.SpecManifest] = field(default_factory=dict)
    """What was remembered of manifests."""

    def removed(self, runs: Iterable[Run], now: float) -> dict[str, layout_v3.SpecManifest]:
        """What was remembered of manifests that can still be brought back."""
        keys = {key for run in runs if not run.is_over(now) for key in run.moved}
        return {key: self.known[key] for key in keys & (self.known.keys() - self.manifests.keys())}


def survey(
    store: Store, *, every_spec_file: bool = False, may_be_empty: bool = True, before: Known | None = None
) -> CacheSurvey:
    """Look at a mirror. An empty one gives an empty inventory, if it may be empty, and else raises `NotThereError`.

    With `every_spec_file`, what the indexes say of the specs is not relied on, only which ones the views list. Of
    manifests that are known `before`, those that have changed are read nevertheless. Raises
    `NotThereError` where there is something, but no build cache, and `RefusedError` for layouts and versions that are
    not known.
    """
    if kind_of(store.url) is REGISTRY:
        return _of_registry(store, every_spec_file=every_spec_file, may_be_empty=may_be_empty)
    began = time.monotonic()
    folders = store.folders()
    now = store.now()
    require_something(store, folders, may_be_empty=may_be_empty)
    _require_known(store, folders)
    found = _Found()
    has_own = SPACKITOR_FOLDER.rstrip("/") in folders
    with ThreadPoolExecutor(1) as pool:
        side = pool.submit(read_side_folder, store) if has_own else None
        if layout_v2.FOLDER.rstrip("/") in folders:
            _survey_v2(store, found)
        if {layout_v3.FOLDER.rstrip("/"), layout_v3.BLOBS.rstrip("/")} & set(folders):
            _survey_v3(store, found, before.manifests if before else {}, remember=has_own)
        runs, roots = side.result() if side else ((), ())
    stood = {}
    if every_spec_file:
        stood = {one.key: one.index.listed for one in found.indexes if one.view and one.index}
        found.indexes = [replace(one, index=None) for one in found.indexes]
    specs, nodes, entries = _specs(store, found, before.nodes if before else {})
    inventory = Inventory(
        store.url,
        now,
        entries,
        tuple(found.orphans),
        tuple(found.indexes),
        specs,
        nodes,
        found.used_blobs,
        found.has_unreadable_manifests,
        runs,
        roots,
        found.objects,
        found.unrecognised,
        stood,
    )
    removed = found.removed(runs, now)
    is_remembered = found.known == remembered.worth_remembering(found.manifests) | removed
    return CacheSurvey(inventory, found.manifests, is_remembered, removed, began)


def _of_registry(store: Store, *, every_spec_file: bool, may_be_empty: bool) -> CacheSurvey:
    # HTTP takes a quarter of a second to import, and buckets and folders need none of it.
    from spackitor.survey.registry import survey_registry

    registry = cast("RegistryStore", store)
    inventory = survey_registry(registry, every_spec_file=every_spec_file, may_be_empty=may_be_empty)
    return CacheSurvey(inventory, {}, is_remembered=True)


def _require_known(store: Store, folders: Iterable[str]) -> None:
    known = {layout_v2.FOLDER.rstrip("/"), layout_v3.FOLDER.rstrip("/"), layout_v3.BLOBS.rstrip("/")}
    for name in folders:
        if _LAYOUT_FOLDER.fullmatch(name) and name not in known:
            raise RefusedError(f"{store.url}/{name}: a layout that is not known; nothing is changed")
    others = set(folders) - {SPACKITOR_FOLDER.rstrip("/")}
    if others and not others & (known | _SOURCES):
        raise NotThereError(f"{store.url}: no build cache, but {', '.join(sorted(others)[:3])}; is the prefix right?")


def _survey_v2(store: Store, found: _Found) -> None:
    objects = list(store.list(layout_v2.FOLDER))
    result = v2.sort_out(objects)
    found.entries += result.entries
    found.orphans += result.orphans
    found.unrecognised += result.unrecognised
    found.objects += len(objects)
    there = {one.key: one for one in objects}
    content, checksum = (
        (_behind(store, there[key]) if there[key].leads_to else store.read(key)) if key in there else None
        for key in (layout_v2.INDEX, layout_v2.INDEX_CHECKSUM)
    )
    found.indexes.append(v2.index_file(content, checksum))


def _survey_v3(store: Store, found: _Found, before: Mapping[str, layout_v3.SpecManifest], *, remember: bool) -> None:
    manifests, blobs, found.known = _listed_v3(store, remember=remember)
    found.manifests = read_manifests(store, manifests, {**found.known, **before})
    blobs += _listed_too_soon(store, blobs, found.manifests)
    result = v3.sort_out(manifests, blobs, found.manifests)
    found.entries += result.entries
    found.orphans += result.orphans
    found.used_blobs = result.used_blobs
    found.has_unreadable_manifests = result.has_unreadable_manifests
    found.unrecognised += result.unrecognised
    found.objects += len(manifests) + len(blobs)
    indexes = layout_v3.index_manifests(found.manifests)
    links = {one.key: one for one in blobs if one.leads_to}
    for key, view in indexes.items():
        manifest = found.manifests[key]
        blob = layout_v3.index_blob(manifest)
        content = _behind(store, links[blob]) if blob in links else store.read(blob) if blob else None
        found.indexes.append(v3.index_file(key, manifest, view, content))
    if layout_v3.INDEX not in indexes:
        found.indexes.append(IndexFile(Layout.V3, layout_v3.INDEX, None, None))


def _listed_v3(
    store: Store, *, remember: bool
) -> tuple[list[StoredObject], list[StoredObject], Mapping[str, layout_v3.SpecManifest]]:
    """Manifests, blobs, and what is remembered of manifests."""

    def read() -> Mapping[str, layout_v3.SpecManifest]:
        return remembered.read_manifests(store.read(remembered.KEY)) if remember else {}

    if store.workers == 1:
        return list(store.list(layout_v3.FOLDER)), list(store.list(layout_v3.BLOBS)), read()
    with ThreadPoolExecutor(2) as pool:
        blobs: Future[list[StoredObject]] = pool.submit(lambda: list(store.list(layout_v3.BLOBS)))
        known = pool.submit(read)
        return list(store.list(layout_v3.FOLDER)), blobs.result(), known.result()


def _listed_too_soon(
    store: Store, blobs: Iterable[StoredObject], manifests: Mapping[str, layout_v3.SpecManifest]
) -> list[StoredObject]:
    """Blobs that were pushed while all were listed: those that manifests lead to and the list lacks are asked for.

    A push writes the blobs first; so what a manifest leads to is there, unless it is really missing.
    """
    if store.workers == 1:
        return []
    there = {one.key for one in blobs}
    lacking = {blob.key for manifest in manifests.values() for blob in manifest.blobs} - there
    if len(lacking) > _MOST_LOOKS:
        return [one for one in store.list(layout_v3.BLOBS) if one.key in lacking]
    return list(look_at_all(store, sorted(lacking)))


def read_manifests(
    store: Store, objects: Iterable[StoredObject], known: Mapping[str, layout_v3.SpecManifest]
) -> dict[str, layout_v3.SpecManifest]:
    """The manifests among some objects, by key; what is known and unchanged is not read again."""
    result: dict[str, layout_v3.SpecManifest] = {}
    new: dict[str, StoredObject] = {}
    for one in objects:
        if not layout_v3.is_manifest(one.key):
            continue
        before = known.get(one.key)
        if before and before.tag == one.tag and not one.leads_to:
            result[one.key] = before
        else:
            new[one.key] = one
    for key, content in read_objects(store, new.values()):
        if content:
            result[key] = layout_v3.read_manifest(content, key)
        elif new[key].leads_to:  # otherwise it has just been removed
            result[key] = layout_v3.SpecManifest(new[key].tag, False, (), f"{key}: a link to what cannot be read")
    return result


def read_objects(store: Store, objects: Iterable[StoredObject]) -> Iterator[tuple[str, Content | None]]:
    """Read many objects at once; of a link what it leads to, as Spack does, with the tag that links have.

    What cannot be read through a link is told of, and is not there.
    """
    every = tuple(objects)
    yield from read_all(store, [one.key for one in every if not one.leads_to])
    for one in every:
        if one.leads_to:
            yield one.key, _behind(store, one)


def _behind(store: Store, link: StoredObject) -> Content | None:
    try:
        content = store.read(link.leads_to)
    except (FileAccessError, RefusedError) as error:
        logger.warning("%s: a link to what cannot be read: %s", link.key, error)
        return None
    return Content(content.data, link.tag) if content else None


def _specs(
    store: Store, found: _Found, before: Mapping[str, tuple[int, Node]]
) -> tuple[dict[str, Spec], dict[str, tuple[int, Node]], tuple[Entry, ...]]:
    """All specs that are known; of entries that no index tells of, their spec files are read."""
    specs: dict[str, Spec] = {}
    for one in found.indexes:
        if one.index:
            specs |= {hash_: record.spec for hash_, record in one.index.records.items() if hash_ not in specs}
    nodes = {hash_: one for hash_, one in before.items() if hash_ not in specs}
    specs |= {hash_: spec_of(node, hash_) for hash_, (_, node) in nodes.items()}
    unknown = {entry.spec_file: entry for entry in found.entries if entry.hash not in specs and entry.is_whole}
    damage: dict[str, str] = {}
    for key, content in read_objects(store, (entry.spec_object for entry in unknown.values())):
        try:
            file = spec_file_of(content, unknown[key].hash, key)
        except DamagedError as error:
            damage[unknown[key].hash] = str(error)
            continue
        version = DATABASE_OF_SPECFILE[file.version]
        for node in file.nodes:
            if node["hash"] not in specs:
                specs[node["hash"]] = spec_of(node)
                nodes[node["hash"]] = (version, node)
    entries = tuple(
        replace(entry, damage=damage[entry.hash]) if entry.hash in damage and entry.spec_file in unknown else entry
        for entry in found.entries
    )
    for text in damage.values():
        logger.warning("%s", text)
    return specs, nodes, entries
