"""A node of a spec while its text is read, and what Spack lets nobody say twice of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from foundation.spack.grammar.spec import AbstractSpec, Attribute, Edge
from foundation.spack.grammar.syntax import ARCHITECTURE_KEYS, COMPILER_FLAGS, Syntax
from foundation.spack.grammar.versions import Versions


class NodeError(Exception):
    """What is said does not fit what was said before."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


_LINKED: Final = frozenset({"link", "run"})
_OF_THIS_MACHINE: Final = ("default_os", "default_target", "frontend", "fe", "backend", "be")
"""Names that Spack replaces by what it finds, which also says the platform."""


@dataclass
class Node:
    """A spec that grows."""

    syntax: Syntax
    name: str = ""
    namespace: str = ""
    column: int = 1
    versions: Versions | None = None
    hash: str = ""
    settings: list[Attribute] = field(default_factory=list)
    edges: list[tuple[Edge, Node]] = field(default_factory=list)
    architecture: dict[str, str] = field(default_factory=dict)

    def frozen(self) -> AbstractSpec:
        """What was read."""
        edges = tuple(edge.to(node.frozen()) for edge, node in self.edges)
        return AbstractSpec(
            self.name, self.namespace, self.versions, tuple(self.settings), self.hash, edges, self.column
        )

    def set_versions(self, versions: Versions) -> None:
        """Say which versions it may have. Raises `NodeError`."""
        if self.versions:
            raise NodeError("a spec cannot have two versions", "write a list: @1.2,1.4")
        self.versions = versions

    def set_compiler(self, edge: Edge, compiler: Node) -> None:
        """Say which compiler builds it, where compilers are no packages. Raises `NodeError`."""
        if any(one.is_direct for one, _ in self.edges):
            raise NodeError("a spec cannot have two compilers")
        self.edges.append((edge, compiler))

    def set(self, setting: Attribute) -> None:
        """Say something that is written like a variant. Raises `NodeError`."""
        name = setting.name
        if setting.propagates and name in self.syntax.not_propagated:
            raise NodeError(f"{name!r} cannot be handed on to dependencies", "write a single sign")
        if name in ARCHITECTURE_KEYS:
            self._set_architecture(setting)
        elif name in COMPILER_FLAGS:
            if isinstance(setting.value, bool):
                raise NodeError(f"{name!r} takes text", f'write {name}="-O2"')
        elif name == "namespace":
            self.namespace = str(setting.value)
            return
        else:
            self._set_variant(setting)
        self.settings.append(setting)

    def _set_variant(self, setting: Attribute) -> None:
        if any(one.name == setting.name for one in self.settings):
            raise NodeError(f"the variant {setting.name!r} is said twice", "keep one of them")
        values = setting.values
        for one in sorted(self.syntax.unique_values):
            if one in values and len(values) > 1:
                raise NodeError(f"{one!r} cannot be combined with other values")

    def _set_architecture(self, setting: Attribute) -> None:
        value = setting.value
        if isinstance(value, bool):
            if setting.name in ("arch", "architecture", "target"):
                raise NodeError(f"{setting.name!r} takes text", "write target=x86_64_v3")
            value = str(value)
        known = self.architecture
        if len(known) == 3 and not {":", ","} & set(known["target"]):
            raise NodeError("the architecture is said twice")
        parts = value.split("-")
        touched: tuple[str, ...] = ("platform", "os", "target")
        if setting.name not in ("arch", "architecture"):
            touched = ("os" if setting.name == "operating_system" else setting.name,)
            new = {touched[0]: value}
        else:
            new = dict(zip(touched, parts, strict=True)) if len(parts) == len(touched) else {"target": value}
        if twice := [one for one in touched if one in known]:
            raise NodeError(f"{twice[0]} is said twice")
        known.update({key: one for key, one in new.items() if one and one != "None"})
        if {known.get("os"), known.get("target")} & set(_OF_THIS_MACHINE):
            known.setdefault("platform", "linux")

    def add(
        self,
        edge: Edge,
        node: Node,
        *,
        virtuals: tuple[str, ...] = (),
        types: tuple[str, ...] = (),
        when: AbstractSpec | None = None,
        is_toolchain: bool = False,
    ) -> None:
        """Say something of a dependency. Raises `NodeError`."""
        added = Edge(edge.sigil, edge.spec, virtuals, types, when, is_toolchain, edge.column)
        earlier = [
            (one, its_node)
            for one, its_node in self.edges
            if node.name and its_node.name == node.name and not (is_toolchain or self._is_compiler(one))
        ]
        same = [its_node for one, its_node in earlier if set(one.types) == set(types) and str(one.when) == str(when)]
        if earlier and not same:
            clash = any(not _together(one.types, types) for one, _ in earlier)
            if clash and all(str(one.when) == str(when) for one, _ in earlier):
                raise NodeError(f"the types of the two dependencies on {node.name!r} overlap")
        for its_node in same:
            for problem in its_node.conflicts(node):
                raise NodeError(f"{node.name!r} is asked for twice with different {problem}", "keep one of them")
        self.edges.append((added, node))

    def _is_compiler(self, edge: Edge) -> bool:
        return edge.is_direct and not self.syntax.direct_dependencies

    def conflicts(self, other: Node) -> Iterator[str]:
        """What no package can have that is to be both."""
        if self.namespace and other.namespace and self.namespace != other.namespace:
            yield "namespaces"
        if self.versions and other.versions and not self.versions.meet(other.versions):
            yield "versions"
        mine = {one.name: one for one in self.settings if one.is_variant}
        for one in other.settings:
            if one.is_variant and one.name in mine and not self._fit(mine[one.name], one):
                yield f"values of {one.name!r}"
        for key in ("platform", "os"):
            if self.architecture.get(key, "") != other.architecture.get(key, "") and (
                key in self.architecture and key in other.architecture
            ):
                yield key
        if not _targets_fit(self.architecture.get("target"), other.architecture.get("target")):
            yield "targets"
        if self.hash and other.hash and not (self.hash.startswith(other.hash) or other.hash.startswith(self.hash)):
            yield "hashes"
        yield from self._compiler_conflicts(other)

    def _compiler_conflicts(self, other: Node) -> Iterator[str]:
        if self.syntax.direct_dependencies:
            return
        mine = next((node for edge, node in self.edges if edge.is_direct), None)
        theirs = next((node for edge, node in other.edges if edge.is_direct), None)
        if mine and theirs and (mine.name != theirs.name or any(mine.conflicts(theirs))):
            yield "compilers"

    def _fit(self, one: Attribute, other: Attribute) -> bool:
        if "*" in (one.value, other.value):
            return True
        if one.is_flag or other.is_flag:
            return one.values == other.values
        if one.exact and other.exact:
            return set(one.values) == set(other.values)
        if one.exact:
            return set(other.values) <= set(one.values)
        if other.exact:
            return set(one.values) <= set(other.values)
        together = {*one.values, *other.values}
        return len(together) == 1 or not together & self.syntax.unique_values


def _together(one: Iterable[str], other: Iterable[str]) -> bool:
    """Whether a package may have two dependencies of the same name with these types."""
    first, second = set(one), set(other)
    return not first & second and not (first & _LINKED and second & _LINKED)


def _targets_fit(one: str | None, other: str | None) -> bool:
    """Whether two targets may be the same. Ranges may, as far as we know."""
    return not one or not other or one == other or bool({":", ",", "*"} & {*one, *other})
