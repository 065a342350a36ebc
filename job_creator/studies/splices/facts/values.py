"""Facts of ELF files and of binaries, and the JSON that they are kept in. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from foundation.errors import DamagedError
from foundation.spack.lockfile import dependency_types
from foundation.spack.specs import Node

FORMAT: Final = 1
"""Of the files that facts are kept in; what was written by another one is found out anew."""


class SymbolKind(StrEnum):
    """What a symbol is, as far as it matters to who uses it."""

    FUNCTION = "f"
    DATA = "d"
    THREAD_LOCAL = "t"
    OTHER = "o"


@dataclass(frozen=True, slots=True)
class OfferedSymbol:
    """A symbol that others may bind to."""

    name: str
    version: str
    """Empty for one without a version."""
    kind: SymbolKind
    size: int
    """In bytes."""
    is_default: bool
    """Whether it is also found by who asks for no version (`foo@@V2`, not `foo@V1`)."""


@dataclass(frozen=True, slots=True)
class NeededSymbol:
    """A symbol that has to come from another file; one that is weak may be missing."""

    name: str
    version: str
    kind: SymbolKind
    is_weak: bool
    library: str = ""
    """The soname of the library that is to have this version; empty without one."""


@dataclass(frozen=True, slots=True)
class NeededVersion:
    """A version that the loader asks a library for before anything runs."""

    library: str
    """Its soname."""
    version: str
    is_weak: bool


@dataclass(frozen=True, slots=True)
class ElfFacts:
    """What an ELF file says to the loader. `damage` says why nothing else is known."""

    machine: str = ""
    """Architecture, class and byte order, as in `EM_X86_64/64/little`."""
    soname: str = ""
    needed: tuple[str, ...] = ()
    rpath: tuple[str, ...] = ()
    runpath: tuple[str, ...] = ()
    is_program: bool = False
    """Whether it names a loader, as all that can be started do."""
    defined: tuple[OfferedSymbol, ...] = ()
    undefined: tuple[NeededSymbol, ...] = ()
    versions: tuple[str, ...] = ()
    """The versions that it defines, in their order, without its own name."""
    has_version_table: bool = False
    """Whether its symbols have versions at all, its own or those of others."""
    needed_versions: tuple[NeededVersion, ...] = ()
    copied: tuple[str, ...] = ()
    """The data that a program copied from its libraries, in the size that they had when it was linked."""
    has_debug_information: bool = False
    damage: str = ""


@dataclass(frozen=True, slots=True)
class SpecNode:
    """A spec in the DAG of a binary; `dependencies` are the DAG hashes of what it links or runs."""

    hash: str
    name: str
    version: str
    is_external: bool
    dependencies: tuple[str, ...]
    system: str = ""
    """Platform and operating system that it was built for, as in `linux-debian12`."""

    def __str__(self) -> str:
        """`name@version/hash`, the hash shortened as Spack does it."""
        return f"{self.name}@{self.version}/{self.hash[:7]}"


@dataclass(frozen=True, slots=True)
class BinaryFacts:
    """What an archive holds."""

    hash: str
    """The DAG hash."""
    nodes: Mapping[str, SpecNode]
    """The binary and all that it links or runs, by DAG hash."""
    prefixes: Mapping[str, str] = field(default_factory=dict)
    """Where it and what it depends on were installed when it was packed, by DAG hash."""
    files: Mapping[str, str] = field(default_factory=dict)
    """The sha256 of each ELF file, by its path in the prefix."""
    links: Mapping[str, str] = field(default_factory=dict)
    """Where each symbolic link leads, by its path in the prefix."""

    @property
    def node(self) -> SpecNode:
        """The binary itself."""
        return self.nodes[self.hash]


def runtime_nodes(nodes: tuple[Node, ...]) -> dict[str, SpecNode]:
    """The first spec of a spec file and all that it links or runs. Raises `DamagedError`."""
    try:
        read = {str(node["hash"]): _spec_node(node) for node in nodes}
    except (KeyError, TypeError, AttributeError) as error:
        raise DamagedError(f"not laid out like a spec: {error}") from None
    found: dict[str, SpecNode] = {}
    todo = [str(nodes[0]["hash"])]
    while todo:
        hash_ = todo.pop()
        if hash_ not in found and hash_ in read:
            found[hash_] = read[hash_]
            todo += read[hash_].dependencies
    return found


def _spec_node(node: Node) -> SpecNode:
    runtime = (hash_ for hash_, types in dependency_types(node).items() if types & {"link", "run"})
    arch = node.get("arch") or {}
    system = "-".join(str(arch[key]) for key in ("platform", "platform_os") if key in arch)
    return SpecNode(
        node["hash"], node["name"], str(node["version"]), bool(node.get("external")), tuple(runtime), system
    )


def elf_as_json(facts: ElfFacts) -> bytes:
    """Facts of a file as they are kept; lists instead of objects where there are thousands."""
    value: dict[str, Any] = {
        "format": FORMAT,
        "machine": facts.machine,
        "soname": facts.soname,
        "needed": facts.needed,
        "rpath": facts.rpath,
        "runpath": facts.runpath,
        "program": facts.is_program,
        "defined": [[d.name, d.version, d.kind, d.size, int(d.is_default)] for d in facts.defined],
        "undefined": [[u.name, u.version, u.kind, int(u.is_weak), u.library] for u in facts.undefined],
        "versions": facts.versions,
        "version_table": facts.has_version_table,
        "needed_versions": [[n.library, n.version, int(n.is_weak)] for n in facts.needed_versions],
        "copied": facts.copied,
        "debug_information": facts.has_debug_information,
        "damage": facts.damage,
    }
    return json.dumps(value, separators=(",", ":")).encode()


def elf_from_json(data: bytes) -> ElfFacts | None:
    """Facts that were kept; `None` for what another version wrote, or what is damaged."""
    try:
        value = json.loads(data)
        if value["format"] != FORMAT:
            return None
        kinds = {str(kind): kind for kind in SymbolKind}
        return ElfFacts(
            value["machine"],
            value["soname"],
            tuple(value["needed"]),
            tuple(value["rpath"]),
            tuple(value["runpath"]),
            bool(value["program"]),
            tuple(OfferedSymbol(n, v, kinds[k], size, bool(d)) for n, v, k, size, d in value["defined"]),
            tuple(NeededSymbol(n, v, kinds[k], bool(w), lib) for n, v, k, w, lib in value["undefined"]),
            tuple(value["versions"]),
            bool(value["version_table"]),
            tuple(NeededVersion(lib, version, bool(w)) for lib, version, w in value["needed_versions"]),
            tuple(value["copied"]),
            bool(value["debug_information"]),
            value["damage"],
        )
    except (ValueError, KeyError, TypeError):
        return None


def binary_as_json(facts: BinaryFacts) -> bytes:
    """Facts of a binary as they are kept."""
    nodes = {
        hash_: {
            "name": node.name,
            "version": node.version,
            "external": node.is_external,
            "dependencies": node.dependencies,
            "system": node.system,
        }
        for hash_, node in facts.nodes.items()
    }
    value = {
        "format": FORMAT,
        "hash": facts.hash,
        "nodes": nodes,
        "prefixes": facts.prefixes,
        "files": facts.files,
        "links": facts.links,
    }
    return json.dumps(value, indent=1).encode()


def binary_from_json(data: bytes) -> BinaryFacts | None:
    """Facts that were kept; `None` for what another version wrote, or what is damaged."""
    try:
        value = json.loads(data)
        if value["format"] != FORMAT:
            return None
        nodes = {
            hash_: SpecNode(
                hash_, one["name"], one["version"], one["external"], tuple(one["dependencies"]), one["system"]
            )
            for hash_, one in value["nodes"].items()
        }
        return BinaryFacts(value["hash"], nodes, value["prefixes"], value["files"], value["links"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
