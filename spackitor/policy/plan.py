"""The plan: every object that goes, with its reason, and what the indexes will list. Values, and pure functions."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from foundation.spack import layout_v2, layout_v3
from foundation.spack.index import write_index
from foundation.spack.releases import Layout, databases_of
from foundation.spack.specs import Node
from spackitor.inventory.inventory import IndexFile, Inventory
from spackitor.inventory.quarantine import Run, due, spared
from spackitor.layouts import Write, oci, v2, v3
from spackitor.policy.verdicts import DAY, Verdict

_VERSION: Final = 1
REPLACED: Final = "the index before this run"
"""Why the blob of an index that is written anew goes."""


@dataclass(frozen=True, slots=True)
class SpecRemoval:
    """A spec that goes. `metadata` and `archives` are keys; an archive that others share is not among them.

    `size` is in bytes, of everything that goes with it; `age` in days.
    """

    hash: str
    name: str
    version: str
    target: str
    reason: str
    size: int
    age: float
    metadata: tuple[str, ...]
    archives: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Leftover:
    """An object that goes and belongs to no spec that goes. `is_metadata` tells manifests and spec files."""

    key: str
    reason: str
    size: int
    """In bytes."""
    is_metadata: bool = False


@dataclass(frozen=True, slots=True)
class IndexChange:
    """An index to be written: how many specs it stops and starts to list, and the writes, in their order.

    With `is_kept`, a copy of what was there goes into the quarantine: an index that cannot be made anew.
    """

    key: str
    stops: int
    starts: int
    writes: tuple[Write, ...]
    is_kept: bool = False


@dataclass(frozen=True)
class CachePlan:
    """What a run does to a mirror, in the order of the fields from `indexes` on.

    `expired` are keys whose time of grace has passed, deleted for good; `expired_runs` are the records that listed
    them. `total` and `total_size` count what is in the cache before, the latter also what belongs to nothing. `things`
    is what is counted.
    """

    mirror: str
    command: str
    total: int
    total_size: int
    indexes: tuple[IndexChange, ...]
    removals: tuple[SpecRemoval, ...]
    leftovers: tuple[Leftover, ...]
    expired: tuple[Leftover, ...]
    expired_runs: tuple[Run, ...]
    kept: int
    """How many stay. `protected` of them no rule may touch: roots, young specs, and what these need."""
    protected: int
    things: str = "specs"
    views: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """The DAG hashes that leave views, by the key of the view, whether this run took them out or an attempt before."""

    @property
    def metadata(self) -> tuple[str, ...]:
        """The keys of all manifests and spec files that go."""
        own = [key for removal in self.removals for key in removal.metadata]
        return tuple(dict.fromkeys((*own, *(one.key for one in self.leftovers if one.is_metadata))))

    @property
    def archives(self) -> tuple[str, ...]:
        """The keys of all archives and blobs that go."""
        own = [key for removal in self.removals for key in removal.archives]
        return tuple(dict.fromkeys((*own, *(one.key for one in self.leftovers if not one.is_metadata))))

    @property
    def size(self) -> int:
        """The bytes of everything that goes, sooner or later."""
        return sum(one.size for one in self.removals) + sum(one.size for one in self.leftovers)

    @property
    def share(self) -> float:
        """Which part of the specs goes, from 0 to 1."""
        return len(self.removals) / self.total if self.total else 0.0

    def frees_space(self, *, at_once: bool) -> bool:
        """Whether something is deleted for good: what had waited for it, or `at_once` all that goes."""
        return bool(self.expired or (at_once and (self.archives or self.metadata)))

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.indexes or self.removals or self.leftovers or self.expired or self.expired_runs)


def make_plan(
    inventory: Inventory, verdict: Verdict, *, command: str, now: float, min_age: float, orphans: bool = True
) -> CachePlan:
    """The plan that carries a verdict out."""
    old = _is_old(now - min_age)
    removals = tuple(_removals(inventory, verdict, now, old))
    orphaned = tuple(_leftovers(inventory, verdict, now, old)) if orphans else ()
    waiting = due(inventory.runs, now)
    indexes = index_changes(inventory, verdict.kept)
    return CachePlan(
        inventory.url,
        command,
        len(inventory.copies),
        inventory.total_size,
        indexes,
        removals,
        (*(one for one in orphaned if one.key not in waiting), *replaced_blobs(inventory, indexes)),
        tuple(one for one in orphaned if one.key in waiting),
        tuple(run for run in inventory.runs if run.is_over(now)) if orphans else (),
        len(verdict.kept),
        len(verdict.protected & inventory.copies.keys()),
        views=_leaving_views(inventory, verdict.kept),
    )


def make_emptying_plan(inventory: Inventory, now: float) -> CachePlan:
    """The plan that only deletes for good what has been in the quarantine long enough."""
    everything = Verdict(frozenset(inventory.copies), frozenset(), {})
    plan = make_plan(inventory, everything, command="empty-quarantine", now=now, min_age=0)
    return replace(plan, indexes=(), leftovers=(), views={})


def replaced_blobs(inventory: Inventory, changes: Iterable[IndexChange]) -> Iterator[Leftover]:
    """The blobs of indexes that are written anew; clients may still be reading the old ones."""
    changed = {change.key for change in changes}
    staying = {file.blob for file in inventory.indexes if file.key not in changed}
    sizes = {
        file.blob: file.size
        for file in inventory.indexes
        if file.key in changed and file.size and file.layout is not Layout.OCI
    }
    for blob, size in sizes.items():
        if blob not in staying:
            yield Leftover(blob, REPLACED, size)


def _removals(
    inventory: Inventory, verdict: Verdict, now: float, is_old: Callable[[float], bool]
) -> Iterator[SpecRemoval]:
    staying = {one.key for hash_ in verdict.kept for one in inventory.objects_of(hash_)} | inventory.used_blobs
    counted: set[str] = set()
    for hash_, reason in verdict.reasons.items():
        copies, spec = inventory.copies[hash_], inventory.specs.get(hash_)
        metadata = [one for entry in copies for one in entry.metadata]
        archives = {one.key: one for entry in copies for one in entry.archives if one.key not in staying}
        archives = {key: one for key, one in archives.items() if is_old(one.modified)}
        if inventory.has_unreadable_manifests:  # which may share some of them
            archives = {key: one for key, one in archives.items() if key.startswith(layout_v2.FOLDER)}
        # Blobs of a registry are freed by itself.
        of_registry = {one.key for entry in copies if entry.layout is Layout.OCI for one in entry.archives}
        fresh = [one for one in (*metadata, *archives.values()) if one.key not in counted]
        counted.update(one.key for one in fresh)
        yield SpecRemoval(
            hash_,
            spec.name if spec else metadata[0].key.rpartition("/")[2],
            spec.version if spec else "",
            spec.target if spec else "",
            reason,
            sum(one.size for one in fresh),
            max(0.0, now - inventory.modified(hash_)) / DAY,
            tuple(one.key for one in metadata),
            tuple(key for key in archives if key not in of_registry),
        )


def _leftovers(
    inventory: Inventory, verdict: Verdict, now: float, is_old: Callable[[float], bool]
) -> Iterator[Leftover]:
    """What belongs to nothing, and what is left of incomplete entries of specs that have a better one."""
    untouchable = spared(inventory.runs, now)
    orphans = inventory.orphans if all(run.is_readable for run in inventory.runs) else ()
    for orphan in orphans:
        one = orphan.object
        hidden = inventory.has_unreadable_manifests and one.key.startswith(layout_v3.BLOBS)
        if is_old(one.modified) and one.key not in untouchable and orphan.hash not in verdict.protected and not hidden:
            yield Leftover(one.key, orphan.why, one.size)
    has_better = (verdict.kept & inventory.usable) - verdict.protected
    for entry in inventory.entries:
        if entry.is_whole or entry.hash not in has_better:
            continue
        for one in entry.metadata:
            if is_old(one.modified):
                yield Leftover(one.key, entry.damage or f"{', '.join(entry.missing)} is not there", one.size, True)


def _is_old(limit: float) -> Callable[[float], bool]:
    return lambda modified: modified <= limit


def index_changes(inventory: Inventory, kept: Iterable[str]) -> tuple[IndexChange, ...]:
    """How the indexes have to be written so that they list what is kept, and nothing else."""
    keep = frozenset(kept) & inventory.usable
    changes = (_index_change(inventory, file, keep) for file in inventory.indexes)
    return tuple(change for change in changes if change)


def _leaving_views(inventory: Inventory, kept: Iterable[str]) -> dict[str, frozenset[str]]:
    staying = frozenset(kept)
    leaving = {file.key: inventory.listed(file) - staying for file in inventory.indexes if file.view}
    return {key: hashes for key, hashes in leaving.items() if hashes}


def _index_change(inventory: Inventory, file: IndexFile, keep: frozenset[str]) -> IndexChange | None:
    listed = file.index.listed if file.index else frozenset()
    whole = frozenset(one.hash for one in inventory.entries if one.layout is file.layout and one.is_whole)
    wanted = keep & whole & (inventory.listed(file) if file.view else whole)
    if not _is_to_be(inventory, file, whole):
        return None
    known = file.index.records.keys() if file.index else frozenset()
    nodes = _nodes(inventory, file) if not wanted <= known else {}
    wanted &= known | nodes.keys()
    if file.index is not None and wanted == listed and file.is_consistent:
        return None
    versions = [version for hash_, (version, _) in nodes.items() if hash_ not in known]
    version = max([databases_of(file.layout).start, *([file.index.version] if file.index else []), *versions])
    data = write_index(file.index, version, wanted, nodes)
    return IndexChange(file.key, len(listed - wanted), len(wanted - listed), _writes(file, data, version))


def _writes(file: IndexFile, data: bytes, version: int) -> tuple[Write, ...]:
    if file.layout is Layout.OCI:
        return oci.index_writes(file, data)
    return v2.index_writes(file, data) if file.layout is Layout.V2 else v3.index_writes(file, data, version)


def _is_to_be(inventory: Inventory, file: IndexFile, whole: frozenset[str]) -> bool:
    """Whether there has to be this index: one that is there, or a main one for specs that have no other."""
    if file.index is not None:
        return True
    if file.view:  # of one that cannot be read, nobody knows what to list
        return file.key in inventory.stood and not file.damage
    return bool(whole) and (file.tag is not None or not inventory.has_views(file.layout))


def _nodes(inventory: Inventory, file: IndexFile) -> dict[str, tuple[int, Node]]:
    """The nodes that this index may have records of, from wherever they are known: spec files, and other indexes."""
    allowed = databases_of(file.layout)
    nodes = {hash_: one for hash_, one in inventory.nodes.items() if one[0] < allowed.stop}
    for other in inventory.indexes:
        if other.index and other is not file and other.index.version < allowed.stop:
            for hash_, record in other.index.records.items():
                if hash_ not in nodes:
                    value = json.loads(other.index.text[record.start : record.end])
                    nodes[hash_] = (other.index.version, value["spec"])
    return nodes


def plan_as_json(plan: CachePlan) -> dict[str, Any]:
    """The plan for machines."""
    return {
        "version": _VERSION,
        "mirror": plan.mirror,
        "command": plan.command,
        plan.things: plan.total,
        "bytes": plan.total_size,
        "kept": plan.kept,
        "protected": plan.protected,
        "removals": [
            {
                "hash": one.hash,
                "name": one.name,
                "version": one.version,
                "target": one.target,
                "reason": one.reason,
                "bytes": one.size,
                "age_days": round(one.age, 2),
                "objects": [*one.metadata, *one.archives],
            }
            for one in plan.removals
        ],
        "leftovers": [{"key": one.key, "reason": one.reason, "bytes": one.size} for one in plan.leftovers],
        "expired": [{"key": one.key, "reason": one.reason, "bytes": one.size} for one in plan.expired],
        "indexes": [{"key": one.key, "stops": one.stops, "starts": one.starts} for one in plan.indexes],
        "share": round(plan.share, 4),
        "bytes_removed": plan.size,
    }


def reasons_counted(plan: CachePlan) -> Mapping[str, int]:
    """How many specs go for each kind of reason."""
    counts: dict[str, int] = {}
    for one in plan.removals:
        kind = _kind(one.reason)
        counts[kind] = counts.get(kind, 0) + 1
    return dict(sorted(counts.items()))


def _kind(reason: str) -> str:
    for part in ("days old", "not in the index", "no longer exists", "depends on", "larger than", "named"):
        if part in reason:
            return {"days old": "too old and in no use", "depends on": "depend on what goes"}.get(part, part)
    return "incomplete or damaged"
