"""How the loader would bind the files of binaries to each other, before and after a splice. Pure.

What is not in the cache, such as the C library, is outside: nothing is said of it.

Sources: ld.so(8); `_dl_map_object` in elf/dl-load.c, `check_match` in elf/dl-lookup.c and `match_symbol` in
elf/dl-version.c of glibc 2.36.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from job_creator.studies.splices.facts.values import BinaryFacts, ElfFacts, NeededSymbol, OfferedSymbol

_MOST_LINKS: Final = 40
_ORIGIN: Final = ("$ORIGIN", "${ORIGIN}")
Directory = tuple[str, str]
"""The DAG hash of a binary, and a folder in its prefix."""


@dataclass(frozen=True, slots=True)
class ElfObject:
    """A file of a binary: the DAG hash of the binary, the path in its prefix, and the sha256 of the file."""

    binary: str
    path: str
    sha256: str


class Exports:
    """What a file offers to others."""

    def __init__(self, facts: ElfFacts) -> None:
        self.facts = facts

    @cached_property
    def _by_name(self) -> Mapping[str, tuple[OfferedSymbol, ...]]:
        found: dict[str, list[OfferedSymbol]] = {}
        for one in self.facts.defined:
            found.setdefault(one.name, []).append(one)
        return {name: tuple(some) for name, some in found.items()}

    def match(self, reference: NeededSymbol) -> OfferedSymbol | None:
        """The definition that a reference is bound to, by the loader's rules of versions."""
        some = self._by_name.get(reference.name, ())
        if reference.version:
            exact = next((one for one in some if one.version == reference.version), None)
            if not self.facts.has_version_table and reference.library == self.facts.soname:
                return None  # glibc ends the program with a failed assertion
            # A symbol without a version serves who asks for one.
            return exact or next((one for one in some if not one.version and one.is_default), None)
        # The oldest version serves who was linked before there were versions, also where it is hidden.
        first = self.facts.versions[:1]
        return next((one for one in some if not one.version or one.is_default or (one.version,) == first), None)


@dataclass
class Library:
    """All facts, by the sha256 of files and by DAG hash."""

    binaries: Mapping[str, BinaryFacts]
    facts_of: Callable[[str], ElfFacts]
    _exports: dict[str, Exports] = field(default_factory=dict)
    _files: dict[Directory, ElfObject | None] = field(default_factory=dict)
    _places: dict[tuple[ElfObject, bool], tuple[Directory, ...]] = field(default_factory=dict)

    def exports(self, one: ElfObject) -> Exports:
        """What a file offers."""
        if one.sha256 not in self._exports:
            self._exports[one.sha256] = Exports(self.facts_of(one.sha256))
        return self._exports[one.sha256]

    def facts(self, one: ElfObject) -> ElfFacts:
        """What a file says."""
        return self.exports(one).facts

    def objects(self, binary: str) -> Iterator[ElfObject]:
        """All ELF files of a binary; none where it is not in the cache."""
        if binary in self.binaries:
            for path, sha256 in sorted(self.binaries[binary].files.items()):
                yield ElfObject(binary, path, sha256)

    def file_at(self, binary: str, path: str) -> ElfObject | None:
        """The file at a path in a prefix, behind all links; also those that lead into the prefix of a dependency."""
        if (binary, path) not in self._files:
            self._files[binary, path] = self._file_at(binary, path)
        return self._files[binary, path]

    def searched(self, one: ElfObject, *, runpath: bool) -> tuple[Directory, ...]:
        """The folders of RUNPATH or RPATH of an object, as far as they are in prefixes that it knows."""
        if (one, runpath) not in self._places:
            facts, known = self.facts(one), self.binaries[one.binary].prefixes
            here = posixpath.join(known.get(one.binary, ""), posixpath.dirname(one.path))
            entries = (_with_origin(entry, here) for entry in (facts.runpath if runpath else facts.rpath))
            places = (self.place_of(one.binary, entry) for entry in entries)
            self._places[one, runpath] = tuple(place for place in places if place)
        return self._places[one, runpath]

    def _file_at(self, binary: str, path: str) -> ElfObject | None:
        for _ in range(_MOST_LINKS):
            facts = self.binaries.get(binary)
            if facts is None:
                return None
            if path in facts.files:
                return ElfObject(binary, path, facts.files[path])
            link = next((part for part in _beginnings(path) if part in facts.links), None)
            if link is None:
                return None
            target = posixpath.join(posixpath.dirname(link), facts.links[link])
            path = posixpath.normpath(posixpath.join(target, path[len(link) + 1 :]))
            if path.startswith(("/", "..")):
                whole = posixpath.normpath(posixpath.join(facts.prefixes.get(binary, ""), path))
                place = self.place_of(binary, whole)
                if place is None:
                    return None
                binary, path = place
        return None

    def place_of(self, binary: str, path: str) -> Directory | None:
        """Into which prefix a path leads, as the binary was installed when it was packed; `None` for others."""
        best = ""
        found = None
        for hash_, prefix in self.binaries[binary].prefixes.items():
            if (path == prefix or path.startswith(f"{prefix}/")) and len(prefix) > len(best):
                best, found = prefix, hash_
        return None if found is None else (found, path[len(best) :].strip("/"))


def _with_origin(entry: str, here: str) -> str:
    for name in _ORIGIN:
        entry = entry.replace(name, here)
    return posixpath.normpath(entry)


def _beginnings(path: str) -> Iterator[str]:
    parts = path.split("/")
    for count in range(1, len(parts) + 1):
        yield "/".join(parts[:count])


@dataclass(frozen=True)
class Loaded:
    """What the loader maps for a program or library, in the order in which symbols are looked up."""

    objects: tuple[ElfObject, ...]
    edges: Mapping[tuple[ElfObject, str], ElfObject]
    """What each object got for each library that it needs."""
    outside: frozenset[tuple[ElfObject, str]]
    """What no binary has: libraries of the system, or none at all."""
    by_name_alone: frozenset[tuple[ElfObject, str]]
    """What stands in none of the folders that the object names; some binary has it nevertheless."""


@dataclass(frozen=True)
class World:
    """The binaries that are there together, and what stands for what was replaced, by DAG hashes."""

    library: Library
    nodes: frozenset[str]
    """DAG hashes of everything that the binary links or runs, itself included."""
    stands_for: Mapping[str, str] = field(default_factory=dict)
    lenient: frozenset[tuple[str, str]] | None = None
    """Which objects, by path and soname, may find a library by its name alone; `None` for all."""

    def load(self, root: ElfObject) -> Loaded:
        """What is mapped when a file is loaded, breadth first."""
        order = [root]
        loader: dict[ElfObject, ElfObject | None] = {root: None}
        own = self.library.facts(root).soname
        names: dict[str, ElfObject] = {own: root} if own else {}
        edges: dict[tuple[ElfObject, str], ElfObject] = {}
        outside, by_name = set(), set()
        for one in order:  # grows meanwhile
            for needed in self.library.facts(one).needed:
                target = names.get(needed) or self._found(one, needed, loader)
                if target is None and (self.lenient is None or (one.path, needed) in self.lenient):
                    target = self._named(needed)
                    by_name |= {(one, needed)} if target else set()
                if target is None:
                    outside.add((one, needed))
                    continue
                edges[one, needed] = target
                if target not in loader:
                    loader[target] = one
                    order.append(target)
                names |= {needed: target, (self.library.facts(target).soname or needed): target}
        return Loaded(tuple(order), edges, frozenset(outside), frozenset(by_name))

    def _found(self, one: ElfObject, needed: str, loader: Mapping[ElfObject, ElfObject | None]) -> ElfObject | None:
        for binary, folder in self._folders(one, loader):
            found = self.library.file_at(binary, posixpath.normpath(posixpath.join(folder, needed)))
            if found:
                return found
        return None

    def _folders(self, one: ElfObject, loader: Mapping[ElfObject, ElfObject | None]) -> Iterator[Directory]:
        """Where the loader looks: RUNPATH of the object, or RPATH of it and of all that led to it."""
        if self.library.facts(one).runpath:
            yield from self._as_they_are_now(self.library.searched(one, runpath=True))
            return
        chain: ElfObject | None = one
        while chain is not None:
            if not self.library.facts(chain).runpath:
                yield from self._as_they_are_now(self.library.searched(chain, runpath=False))
            chain = loader[chain]

    def _as_they_are_now(self, places: tuple[Directory, ...]) -> Iterator[Directory]:
        for binary, folder in places:
            yield self.stands_for.get(binary, binary), folder

    def _named(self, needed: str) -> ElfObject | None:
        return self._names.get(needed)

    @cached_property
    def _names(self) -> Mapping[str, ElfObject]:
        """Shared libraries by the names that they are asked for."""
        found: dict[str, ElfObject] = {}
        for binary in sorted(self.nodes):
            for one in self.library.objects(binary):
                if soname := self.library.facts(one).soname:
                    found.setdefault(soname, one)
        return found
