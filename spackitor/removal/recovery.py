"""Bringing back what a run removed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from foundation.errors import CouldNotAskError, DamagedError, NotThereError, RefusedError
from foundation.spack import layout_oci, layout_v2, layout_v3
from foundation.spack.index import read_index
from foundation.spack.releases import Layout
from foundation.spack.specs import Node
from foundation.stores.schemes import REGISTRY, kind_of
from foundation.stores.store import Content, Store, StoredObject, copy_all, read_all
from spackitor.inventory.inventory import Inventory
from spackitor.inventory.quarantine import Run, original_of, run_as_json
from spackitor.inventory.sources import ARCHIVES
from spackitor.removal.indexes import list_again
from spackitor.removal.sources import restore_sources
from spackitor.survey.survey import Known, survey

if TYPE_CHECKING:
    from foundation.registries.mirror_store import RegistryStore


@dataclass(frozen=True)
class Restored:
    """What was brought back: how many specs or sources, and the keys of what could not be, with the reasons."""

    run: Run
    count: int
    failed: dict[str, str]


def restore(store: Store, run_id: str | None) -> Restored:
    """Bring back what a run removed (the latest one without `run_id`), with its entries in the index.

    What is back counts as new, so that the next run does not remove it again at once. Raises `NotThereError`.
    """
    seen = survey(store)
    inventory = seen.inventory
    run = _choose(inventory, run_id)
    store.require_writable((*run.moved, *(file.key for file in inventory.indexes)))
    if run.is_of_sources:
        sources, lost = restore_sources(store, run)
        _drop(store, run, frozenset(sources if lost else run.moved))
        return Restored(run, sum(key.startswith(ARCHIVES) for key in sources), lost)
    of_registry = kind_of(store.url) is REGISTRY
    # In a registry, a tag may be half taken from what it led to.
    there = {one.key for entry in inventory.entries if entry.is_whole or not of_registry for one in entry.metadata}
    copies = {original_of(run.id, one.key): one for one in store.list(run.quarantined("").rpartition("/")[0] + "/")}
    absent = {key: copies[key] for key in run.moved if key not in there and key in copies}
    contents, manifests = _read(store, absent, seen.removed, of_registry=of_registry)
    blobs, hashes = _archives(inventory)
    back: dict[str, None] = {}
    missing: dict[str, str] = {}
    failed: dict[str, str] = {}
    for key in run.moved:
        if key not in there and (reason := _obstacle(key, absent, manifests, blobs, hashes)):
            failed[key] = reason
            continue
        back[key] = None
        if key not in there:
            missing[run.quarantined(key)] = key
    digests = {key: f"sha256:{hashlib.sha256(one.data).hexdigest()}" for key, one in contents.items() if key in back}
    if of_registry:
        _count_as_new(store, digests)
    for copy in copy_all(store, missing.items(), as_new=True):
        failed[missing[copy]] = "is no longer in the quarantine"
        del back[missing[copy]]
    list_again(store, run.hashes, run.views, Known(manifests, _nodes_before(store, run)))
    # Of a record that could not be read, nobody knows any more how long it would have counted.
    _drop(store, run if run.is_readable else replace(run, until=inventory.now), back)
    return Restored(run, len(back), failed)


def _choose(inventory: Inventory, run_id: str | None) -> Run:
    runs = sorted((run for run in inventory.runs if run.moved), key=lambda run: run.id)
    if run_id is None and runs:
        return runs[-1]
    for run in runs:
        if run.id == run_id:
            return run
    known = ", ".join(run.id for run in runs) or "none"
    raise NotThereError(f"{inventory.url}: no such run in the quarantine; there are: {known}")


def _archives(inventory: Inventory) -> tuple[frozenset[str], frozenset[str]]:
    """The keys of all blobs and archives that are there, and the DAG hashes that have one in layout v2."""
    keys = {orphan.object.key for orphan in inventory.orphans} | inventory.used_blobs
    keys |= {one.key for entry in inventory.entries for one in entry.archives}
    hashes = {orphan.hash for orphan in inventory.orphans}
    hashes |= {entry.hash for entry in inventory.entries if entry.layout is Layout.V2 and entry.archives}
    return frozenset(keys), frozenset(hashes)


def _read(
    store: Store,
    absent: Mapping[str, StoredObject],
    remembered: Mapping[str, layout_v3.SpecManifest],
    *,
    of_registry: bool,
) -> tuple[dict[str, Content], dict[str, layout_v3.SpecManifest]]:
    """What has to be known of copies in the quarantine; `absent` are these, by the keys that they had.

    Of registries that is their contents, whose digests count; else only manifests, of which those that are remembered
    are not read.
    """
    manifests = {key: one for key, one in remembered.items() if key in absent and absent[key].tag == one.tag}
    asked = {
        copy.key: key
        for key, copy in absent.items()
        if of_registry or (key.startswith(layout_v3.MANIFESTS) and key not in manifests)
    }
    contents = {asked[copy]: content for copy, content in read_all(store, asked) if content}
    for key, content in contents.items():
        if key.startswith(layout_v3.MANIFESTS):
            manifests[key] = layout_v3.read_manifest(content, key)
    return contents, manifests


def _obstacle(
    key: str,
    absent: Collection[str],
    manifests: Mapping[str, layout_v3.SpecManifest],
    blobs: Collection[str],
    hashes: Collection[str],
) -> str:
    """Why something cannot be brought back; empty if it can."""
    is_manifest = key.startswith(layout_v3.MANIFESTS)
    if key not in absent or (is_manifest and key not in manifests):
        return "is no longer in the quarantine"
    if layout_oci.spec_tags((key,)):
        return ""  # its blobs are kept with it
    if is_manifest:
        missing = [blob.key for blob in manifests[key].blobs if blob.key not in blobs]
        return manifests[key].damage or (f"{missing[0]} is gone" if missing else "")
    return "" if layout_v2.hash_of(key) in hashes else "its archive is gone"


def _nodes_before(store: Store, run: Run) -> dict[str, tuple[int, Node]]:
    """The nodes of what a run removed, out of the indexes before it; nothing where these cannot be read any more."""
    wanted = frozenset(run.hashes)
    nodes: dict[str, tuple[int, Node]] = {}
    for key, content in read_all(store, run.indexes):
        if content is None:
            continue
        try:
            index = read_index(content.data, key)
        except (DamagedError, RefusedError):
            continue
        for hash_ in wanted.intersection(index.records) - nodes.keys():
            record = index.records[hash_]
            nodes[hash_] = (index.version, json.loads(index.text[record.start : record.end])["spec"])
    return nodes


def _count_as_new(store: Store, digests: Mapping[str, str]) -> None:
    from spackitor.removal.registry import count_as_new

    count_as_new(cast("RegistryStore", store), digests)


def _drop(store: Store, run: Run, back: Collection[str]) -> None:
    """Take what is back out of the quarantine. The record stays for the rest, such as the index before that run."""
    left = tuple(key for key in run.moved if key not in back)
    failed = store.delete([*map(run.quarantined, back), *(() if left else run.index_copies)])
    if failed:
        key, reason = next(iter(failed.items()))
        raise CouldNotAskError(f"all is back, but {key} could not be taken out of the quarantine: {reason}")
    indexes = tuple(key for key in run.indexes if key not in run.index_copies)
    rest = replace(run, moved=left) if left else replace(run, moved=(), hashes=(), views={}, indexes=indexes)
    store.write(run.key, run_as_json(rest))
