"""What a splice takes away: the world of a binary before it, held against the one after it. Pure.

Everything that was found before has to be found afterwards: libraries by their sonames, versions, and strong symbols
with their versions, whoever provides them then. What nobody in the cache provided before counts for nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from job_creator.studies.splices.facts.values import NeededSymbol, OfferedSymbol, SymbolKind
from job_creator.studies.splices.prediction.verdicts import MissingKind, MissingPart
from job_creator.studies.splices.prediction.world import ElfObject, Library, Loaded, World

_CALLED: Final = {SymbolKind.FUNCTION, SymbolKind.DATA, SymbolKind.THREAD_LOCAL}


@dataclass(frozen=True, slots=True)
class Splice:
    """A binary with one of its dependencies replaced, by DAG hashes."""

    consumer: str
    replaced: str
    replacement: str
    is_transitive: bool = False
    """Whether what the replacement depends on replaces that of the consumer as well, or the other way round."""


@dataclass(frozen=True, slots=True)
class LinkedLibrary:
    """A library that an object is linked to, and the one that it would find instead."""

    user: ElfObject
    old: ElfObject
    new: ElfObject


@dataclass
class Differences:
    """What a splice changes for the files that bind to what it replaces."""

    users: set[ElfObject] = field(default_factory=set)
    """The files that are linked to a replaced library."""
    linked: set[LinkedLibrary] = field(default_factory=set)
    missing: set[MissingPart] = field(default_factory=set)
    doubts: set[str] = field(default_factory=set)
    """Why nothing can be promised."""
    not_checked: set[str] = field(default_factory=set)


Bindings = Mapping[tuple[ElfObject, ElfObject], Sequence[tuple[NeededSymbol, OfferedSymbol]]]
"""By user and provider: what is asked for, and what is there."""


@dataclass
class Comparer:
    """Compares worlds; what was there before a splice is found out once for all splices."""

    library: Library
    _loaded: dict[ElfObject, Loaded] = field(default_factory=dict)
    _bound: dict[ElfObject, Bindings] = field(default_factory=dict)
    _affected: dict[tuple[str, str], tuple[ElfObject, ...]] = field(default_factory=dict)

    def compare(self, splice: Splice) -> Differences:
        """All that a splice takes away. Consumer and replacement have to be in the library."""
        found = Differences()
        stands_for = replacements(self.library, splice)
        nodes = self._nodes_after(splice, stands_for)
        gone = sorted(stands_for.keys() & self.library.binaries[splice.consumer].nodes.keys())
        for root in dict.fromkeys(root for old in gone for root in self.affected(splice.consumer, old)):
            before = self.loaded(root)
            lenient = frozenset((one.path, needed) for one, needed in before.by_name_alone)
            after = World(self.library, nodes, stands_for, lenient).load(root)
            _RootComparison(self, splice, before, after, found).run()
        found.doubts.update(self._unseen(splice))
        return found

    def loaded(self, root: ElfObject) -> Loaded:
        """What a file loads as it was built."""
        if root not in self._loaded:
            nodes = frozenset(self.library.binaries[root.binary].nodes)
            self._loaded[root] = World(self.library, nodes).load(root)
        return self._loaded[root]

    def bound(self, root: ElfObject) -> Bindings:
        """Which strong symbols are bound to which file, when a file is loaded as it was built."""
        if root not in self._bound:
            objects = self.loaded(root).objects
            found: dict[tuple[ElfObject, ElfObject], list[tuple[NeededSymbol, OfferedSymbol]]] = {}
            for one in objects:
                for reference in self.library.facts(one).undefined:
                    if not reference.is_weak and (provider := self.provider(reference, objects)):
                        found.setdefault((one, provider[0]), []).append((reference, provider[1]))
            self._bound[root] = found
        return self._bound[root]

    def provider(
        self, reference: NeededSymbol, objects: tuple[ElfObject, ...], without: ElfObject | None = None
    ) -> tuple[ElfObject, OfferedSymbol] | None:
        """The first of the files that has what a symbol asks for."""
        for one in objects:
            if one != without and (definition := self.library.exports(one).match(reference)):
                return one, definition
        return None

    def affected(self, consumer: str, replaced: str) -> tuple[ElfObject, ...]:
        """The files of a binary and of what it depends on that load a file of the one that is replaced."""
        if (consumer, replaced) not in self._affected:
            users = [
                hash_
                for hash_ in self.library.binaries[consumer].nodes
                if hash_ != replaced and replaced in self._nodes_of(hash_)
            ]
            self._affected[consumer, replaced] = tuple(
                one
                for hash_ in users
                for one in self.library.objects(hash_)
                if any(other.binary == replaced for other in self.loaded(one).objects)
            )
        return self._affected[consumer, replaced]

    def _nodes_of(self, hash_: str) -> frozenset[str]:
        facts = self.library.binaries.get(hash_)
        return frozenset(facts.nodes) if facts else frozenset()

    def _nodes_after(self, splice: Splice, stands_for: Mapping[str, str]) -> frozenset[str]:
        known = {
            **self.library.binaries[splice.replacement].nodes,
            **self.library.binaries[splice.consumer].nodes,
        }
        found: set[str] = set()
        todo = [splice.consumer]
        while todo:
            hash_ = todo.pop()
            if hash_ not in found and hash_ in known:
                found.add(hash_)
                todo += [stands_for.get(one, one) for one in known[hash_].dependencies]
        return frozenset(found)

    def _unseen(self, splice: Splice) -> Iterator[str]:
        """What depends on the replaced binary, and is not in the cache: it may bind to it as well."""
        nodes = self.library.binaries[splice.consumer].nodes
        for hash_, node in nodes.items():
            if hash_ not in self.library.binaries and not node.is_external and splice.replaced in node.dependencies:
                yield f"{node} depends on it as well, and its files are not known"


def replacements(library: Library, splice: Splice) -> dict[str, str]:
    """Which DAG hashes stand for which others after a splice, as `Spec.splice` of Spack decides it: by names."""
    consumer = library.binaries[splice.consumer].nodes
    replacement = library.binaries[splice.replacement].nodes
    own = {node.name: hash_ for hash_, node in consumer.items() if hash_ not in (splice.consumer, splice.replaced)}
    brought = {node.name: hash_ for hash_, node in replacement.items() if hash_ != splice.replacement}
    found = {splice.replaced: splice.replacement}
    for name in own.keys() & brought.keys():
        if own[name] != brought[name]:
            old, new = (own[name], brought[name]) if splice.is_transitive else (brought[name], own[name])
            found[old] = new
    return found


@dataclass
class _RootComparison:
    """One file that is loaded, before and after."""

    comparer: Comparer
    splice: Splice
    before: Loaded
    after: Loaded
    found: Differences

    def run(self) -> None:
        for one, needed in self.before.edges:
            if self.before.edges[one, needed].binary == self.splice.replaced and one.binary != self.splice.replaced:
                self.found.users.add(one)
        self._libraries()
        self._versions()
        self._symbols()
        self._copies()
        self._new_files()

    @cached_property
    def _there_before(self) -> frozenset[ElfObject]:
        return frozenset(self.before.objects)

    @cached_property
    def _there_after(self) -> frozenset[ElfObject]:
        return frozenset(self.after.objects)

    def _origin(self, one: ElfObject) -> Loaded:
        """Where an object was at home."""
        return self.before if one in self._there_before else self.comparer.loaded(one)

    def _libraries(self) -> None:
        known_outside = {needed for _, needed in self.before.outside}
        for one, needed in self.after.outside:
            if (one, needed) in self._origin(one).edges:
                self._miss(MissingKind.LIBRARY, needed, self._origin(one).edges[one, needed], one)
            elif one not in self._there_before and needed not in known_outside:
                self.found.not_checked.add(f"whether the system has {needed}, which {self._named(one)} needs")
        for (one, needed), new in self.after.edges.items():
            old = self.before.edges.get((one, needed))
            if old and old != new:
                self.found.linked.add(LinkedLibrary(one, old, new))

    @property
    def _gone(self) -> frozenset[str]:
        return frozenset(one.library for one in self.found.missing if one.kind is MissingKind.LIBRARY)

    def _versions(self) -> None:
        for one in self.after.objects:
            for wanted in self.comparer.library.facts(one).needed_versions:
                target = self.after.edges.get((one, wanted.library))
                if target is None or wanted.is_weak or self._is_as_before(one, target):
                    continue
                offered = self.comparer.library.facts(target).versions
                if offered and wanted.version not in offered:
                    self._miss(MissingKind.VERSION, wanted.version, target, one)

    def _is_as_before(self, one: ElfObject, target: ElfObject) -> bool:
        return one in self._there_before and target in self._there_before

    def _symbols(self) -> None:
        """Those that were bound to a file that is not loaded any more, for files that are, old ones and new ones."""
        bound: list[tuple[ElfObject, ElfObject | None]] = [(self.before.objects[0], None)]
        bound += [(one, one) for one in self.after.objects if one not in self._there_before]
        for root, only in bound:
            for (one, old), symbols in self.comparer.bound(root).items():
                if only in (None, one) and one in self._there_after and old not in self._there_after:
                    self._bind(one, old, symbols)

    def _bind(self, one: ElfObject, old: ElfObject, symbols: Sequence[tuple[NeededSymbol, OfferedSymbol]]) -> None:
        successor = self._successors.get(old)
        exports = self.comparer.library.exports(successor) if successor else None
        for reference, definition in symbols:
            # Most often it is what stands for the library that had it.
            now = exports.match(reference) if exports else None
            provider = (successor, now) if successor and now else self.comparer.provider(reference, self.after.objects)
            if provider is None:
                # Unless it is told already that its library is not there.
                if self._named(old) not in self._gone:
                    self._miss(MissingKind.SYMBOL, _shown(reference.name, reference.version), old, one)
            elif {definition.kind, provider[1].kind} <= _CALLED and definition.kind != provider[1].kind:
                self._miss(MissingKind.KIND, _shown(reference.name, reference.version), provider[0], one)

    @cached_property
    def _successors(self) -> Mapping[ElfObject, ElfObject]:
        """What users of a library got after the splice under the same name."""
        edges = self.before.edges.items()
        return {old: new for place, old in edges if (new := self.after.edges.get(place)) and new != old}

    def _copies(self) -> None:
        """Data that a program copies from a library when it starts, into the room that it had when it was linked."""
        for one in self._there_before & self._there_after:
            for name in self.comparer.library.facts(one).copied:
                own = next((item for item in self.comparer.library.facts(one).defined if item.name == name), None)
                if own is None:
                    continue
                wanted = NeededSymbol(name, own.version, SymbolKind.DATA, is_weak=False)
                old = self.comparer.provider(wanted, self.before.objects, without=one)
                if old is None or old[0] in self._there_after:
                    continue
                new = self.comparer.provider(wanted, self.after.objects, without=one)
                if new is None:
                    self._miss(MissingKind.SYMBOL, _shown(name, own.version), old[0], one)
                elif new[1].size != own.size:
                    sizes = f"has room for {own.size} bytes of {name}, and the new one has {new[1].size}"
                    self.found.doubts.add(f"{self._named(one)} {sizes}")

    def _new_files(self) -> None:
        root = self.before.objects[0]
        machine = self.comparer.library.facts(root).machine
        for one in self.after.objects:
            facts = self.comparer.library.facts(one)
            if facts.damage:
                self.found.doubts.add(f"{self._named(one)} {facts.damage}")
            elif one not in self._there_before and machine and facts.machine != machine:
                self._miss(MissingKind.MACHINE, machine, one, root)

    def _miss(self, kind: MissingKind, what: str, library: ElfObject, by: ElfObject) -> None:
        self.found.missing.add(MissingPart(kind, what, self._named(library), self._named(by)))

    def _named(self, one: ElfObject) -> str:
        return f"{self.comparer.library.binaries[one.binary].node}: {one.path}"


def _shown(name: str, version: str) -> str:
    return f"{name}@{version}" if version else name
