"""What is in a mirror, as values: the copies of each spec, the indexes, and what belongs to nothing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from foundation.spack.index import Index
from foundation.spack.releases import Layout
from foundation.spack.specs import Node, Spec
from foundation.stores.store import StoredObject
from spackitor.inventory.quarantine import Run
from spackitor.inventory.roots import RootSet

if TYPE_CHECKING:
    from foundation.spack.grammar.concrete import ConcreteNode


@dataclass(frozen=True, slots=True)
class Entry:
    """One spec in one layout: the files that Spack finds it by, and the objects that these lead to.

    `metadata` are manifests (v3) or spec files (v2), `archives` the blobs (v3) or the archive (v2) that exist, and
    `missing` the keys of those that do not. `spec_file` is the key of what describes the spec. `damage` says what is
    wrong with an entry that cannot be used.
    """

    layout: Layout
    hash: str
    metadata: tuple[StoredObject, ...]
    archives: tuple[StoredObject, ...]
    missing: tuple[str, ...]
    spec_file: str
    is_signed: bool
    damage: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether Spack could install from it."""
        return not self.missing and not self.damage

    @property
    def spec_object(self) -> StoredObject:
        """What describes the spec."""
        return next(one for one in (*self.metadata, *self.archives) if one.key == self.spec_file)

    @property
    def modified(self) -> float:
        """When it was last written, in seconds since 1970. Blobs do not count: others may share them."""
        own = (*self.metadata, *self.archives) if self.layout is Layout.V2 else self.metadata
        return max(one.modified for one in own)


@dataclass(frozen=True, slots=True)
class Orphan:
    """An object that nothing leads to. `hash` is known of archives of layout v2 only."""

    object: StoredObject
    why: str
    hash: str = ""


@dataclass(frozen=True, slots=True)
class IndexFile:
    """An index where it is stored. `tag` is that of the object at `key`; `None` if there is no index.

    `view` is the name of one that lists only some specs (Spack 1.2); `is_consistent` is false where the index of
    layout v2 and its checksum beside it do not fit. `blob` is the key of its content in layout v3, and `size` are the
    bytes of that; 0 if it is not there.
    """

    layout: Layout
    key: str
    tag: str | None
    index: Index | None
    view: str = ""
    is_consistent: bool = True
    blob: str = ""
    damage: str = ""
    size: int = 0


@dataclass(frozen=True)
class Inventory:
    """Everything in a mirror that a decision may rest on, at one moment.

    `specs` are all specs that any index or spec file told of, whether they are in the cache or not. `nodes` are the
    ones that no index had, with their database version. `used_blobs` are those that manifests other than those of specs
    lead to. Where `has_unreadable_manifests`, it is not known which blobs they lead to.
    """

    url: str
    now: float
    """By the store's clock, in seconds since 1970."""
    entries: tuple[Entry, ...]
    orphans: tuple[Orphan, ...]
    indexes: tuple[IndexFile, ...]
    specs: Mapping[str, Spec]
    nodes: Mapping[str, tuple[int, Node]] = field(default_factory=dict)
    used_blobs: frozenset[str] = frozenset()
    has_unreadable_manifests: bool = False
    runs: tuple[Run, ...] = ()
    roots: tuple[RootSet, ...] = ()
    objects: int = 0
    """How many the mirror has, of all kinds."""
    unrecognised: int = 0
    """How many of them are nothing that Spack writes; these are never touched."""
    stood: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """DAG hashes that belong into views though these do not list them now, by the key of the view: what a run took out
    of them and what is to come back, or what they listed before their records are made anew."""
    chosen: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """What views are to list, by their keys, whatever they list now."""

    @cached_property
    def copies(self) -> Mapping[str, tuple[Entry, ...]]:
        """The entries of each DAG hash."""
        found: dict[str, tuple[Entry, ...]] = {}
        for entry in self.entries:
            found[entry.hash] = (*found.get(entry.hash, ()), entry)
        return found

    @cached_property
    def usable(self) -> frozenset[str]:
        """The DAG hashes of specs that can be installed from here."""
        return frozenset(entry.hash for entry in self.entries if entry.is_whole and entry.hash in self.specs)

    @cached_property
    def unsigned(self) -> frozenset[str]:
        """The usable specs of which a copy has no signature, which Spack refuses where signatures count."""
        return frozenset(entry.hash for entry in self.entries if not entry.is_signed) & self.usable

    @cached_property
    def unlisted(self) -> frozenset[str]:
        """The usable specs that neither the main index of their layout nor any view lists.

        Views are selections: where there is no main index, or where some index cannot be read, nothing is known to be
        left out.
        """
        complete = {one.layout for one in self.indexes if not one.view and one.index}
        complete -= {one.layout for one in self.indexes if one.damage}
        indexed = {entry.hash for entry in self.entries if entry.layout in complete}
        listed = {hash_ for one in self.indexes if one.index for hash_ in self.listed(one)}
        return self.usable & (indexed - listed)

    @cached_property
    def views(self) -> Mapping[str, frozenset[str]]:
        """The usable specs of each view that can be read, by its name."""
        return {one.view: self.listed(one) & self.usable for one in self.indexes if one.view and not one.damage}

    def views_of(self, hash_: str) -> tuple[str, ...]:
        """The names of the views that list a spec."""
        return tuple(sorted(name for name, hashes in self.views.items() if hash_ in hashes))

    def has_views(self, layout: Layout) -> bool:
        """Whether there are indexes that list only some specs; a mirror may have these and no main index."""
        return any(one.view for one in self.indexes if one.layout is layout)

    def listed(self, file: IndexFile) -> frozenset[str]:
        """The DAG hashes that an index lists, and what belongs into it beyond that; or what was chosen for it."""
        if file.key in self.chosen:
            return self.chosen[file.key]
        return (file.index.listed if file.index else frozenset()) | self.stood.get(file.key, frozenset())

    def node_of(self, hash_: str) -> ConcreteNode | None:
        """All that is known of a spec, whether it is in the cache or not. Read anew each time: nodes are large."""
        # The grammar of specs takes long to import, and cleaning needs none of it.
        from foundation.spack.grammar.concrete import concrete_node

        for one in self.indexes:
            if one.index and (record := one.index.records.get(hash_)):
                return concrete_node(json.loads(one.index.text[record.start : record.end])["spec"], hash_)
        return concrete_node(self.nodes[hash_][1], hash_) if hash_ in self.nodes else None

    def modified(self, hash_: str) -> float:
        """When the youngest copy of a spec was written."""
        return max(entry.modified for entry in self.copies[hash_])

    def age(self, hash_: str) -> float:
        """How many days ago it was last written; infinite where nobody says when, as in registries."""
        return max(0.0, self.now - self.modified(hash_)) / 86400

    def size(self, hashes: Iterable[str]) -> int:
        """The bytes of all objects of some specs; what they share counts once."""
        return sum({one.key: one.size for hash_ in hashes for one in self.objects_of(hash_)}.values())

    @cached_property
    def total_size(self) -> int:
        """The bytes of everything that a plan may remove: specs, what belongs to nothing, and blobs of indexes."""
        found = {one.key: one.size for hash_ in self.copies for one in self.objects_of(hash_)}
        found |= {one.object.key: one.object.size for one in self.orphans}
        found |= {one.blob: one.size for one in self.indexes if one.size}
        return sum(found.values())

    def objects_of(self, hash_: str) -> tuple[StoredObject, ...]:
        """All objects of a spec."""
        return tuple(one for entry in self.copies[hash_] for one in (*entry.metadata, *entry.archives))
