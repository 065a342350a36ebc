"""Whether a concrete spec is what a spec string asks for.

Source: `satisfies` of specs, versions, variants, architectures and flags in lib/spack/spack of v0.23.1 and v1.1.0. This
has no recipes: what only they can tell is refused, never guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from typing import Final

from foundation.spack.grammar.concrete import ConcreteEdge, ConcreteNode
from foundation.spack.grammar.spec import AbstractSpec, Attribute, Edge, Misspelt
from foundation.spack.grammar.syntax import ARCHITECTURE_KEYS, COMPILER_FLAGS, LEGACY_COMPILERS
from foundation.spack.grammar.targets import OF_THIS_MACHINE, is_target_among, meant_target, unknown_targets
from foundation.spack.releases import SpackLine

_LINKED: Final = frozenset({"link", "run"})
_LANGUAGES: Final = frozenset({"c", "cxx", "fortran"})
_OF_THIS_MACHINE: Final = OF_THIS_MACHINE | {"default_os"}


class CannotJudgeError(Exception):
    """What a spec asks cannot be answered from concrete specs alone."""

    def __init__(self, why: Misspelt) -> None:
        super().__init__(why.message)
        self.why = why


def why_not_judged(asked: AbstractSpec) -> Misspelt | None:
    """What of a spec cannot be judged of any concrete one, and where it stands."""
    for node in asked.nodes():
        if node.versions and node.versions.any_commit:
            hint = "say which version it counts as: @git.REF=VERSION"
            return Misspelt(node.column, f"only git knows which version @{node.versions.text} is", hint)
        for one in node.settings:
            if one.name in ARCHITECTURE_KEYS and (why := _why_no_architecture(one)):
                return why
    return next((why for edge in asked.all_edges() if (why := _why_no_edge(edge))), None)


def _why_no_architecture(one: Attribute) -> Misspelt | None:
    for key, value in _parts(one).items():
        if value == "*":
            return Misspelt(one.column, f"{key}=* says nothing, and not the same on every Spack", "leave it out")
        names = value.replace(":", ",").split(",") if key == "target" else [value]
        for name in names:
            if name in _OF_THIS_MACHINE:
                return Misspelt(one.column, f"{name!r} is another one on each machine", "write the name itself")
        if key == "target" and (unknown := unknown_targets(value)):
            return Misspelt(one.column, f"{unknown[0]!r} is no target", meant_target(unknown[0]))
    return None


def _why_no_edge(edge: Edge) -> Misspelt | None:
    if edge.when is not None:
        return Misspelt(edge.column, "conditions of dependencies are for specs that are not concrete", "leave it out")
    if edge.sigil == "%%":
        return Misspelt(edge.column, "'%%' says how dependencies are to be built", "write %")
    if edge.types and not edge.is_direct:
        return Misspelt(edge.column, "types are only judged of direct dependencies", "write %[deptypes=…]")
    return None


def _parts(one: Attribute) -> dict[str, str]:
    """Platform, operating system and target in a setting, as far as they are said."""
    value = str(one.value)
    if one.name not in ("arch", "architecture"):
        return {"os" if one.name == "operating_system" else one.name: value}
    parts = value.split("-")
    named = zip(("platform", "os", "target"), parts, strict=True) if len(parts) == 3 else (("target", value),)
    return {key: part for key, part in named if part and part != "None"}


@dataclass(frozen=True)
class Matcher:
    """Holds specs against concrete ones as a line of Spack does.

    `node_of` gives the nodes that these depend on by DAG hash, `None` for one of which nothing is known; `packages` are
    the names of all packages that are known not to be virtual.
    """

    line: SpackLine
    node_of: Callable[[str], ConcreteNode | None]
    packages: Container[str] = frozenset()

    def satisfies(self, node: ConcreteNode, asked: AbstractSpec) -> bool:
        """Whether a concrete spec is what is asked for. Raises `CannotJudgeError`."""
        if why := why_not_judged(asked):
            raise CannotJudgeError(why)
        return self._is_like(node, asked) and all(self._depends(node, edge) for edge in asked.edges)

    def _is_like(self, node: ConcreteNode, asked: AbstractSpec) -> bool:
        """Whether a node is what is asked for, whatever it depends on."""
        if not (node.hash.startswith(asked.hash) and asked.name in ("", node.name)):
            return False
        if asked.namespace and node.namespace and asked.namespace != node.namespace:
            return False
        if asked.versions and not self._has_version(node.version, asked):
            return False
        return all(self._has(node, one) for one in asked.settings)

    @staticmethod
    def _has_version(version: str, asked: AbstractSpec) -> bool:
        try:
            return not asked.versions or asked.versions.hold(version)
        except LookupError:
            why = f"only git knows whether {version} is in @{asked.versions.text if asked.versions else ''}"
            raise CannotJudgeError(Misspelt(asked.column, why, f"name it: @{version}, or /hash")) from None

    def _has(self, node: ConcreteNode, one: Attribute) -> bool:
        if one.name in COMPILER_FLAGS:
            return one.name in node.flags and _flags(str(one.value)) <= node.flags[one.name]
        if one.name in ARCHITECTURE_KEYS:
            return all(_is_on(node, key, value, one.column) for key, value in _parts(one).items())
        if not one.propagates:
            return one.name in node.variants and _fits(one, node.variants[one.name])
        everything = (node, *(self._node(edge) for edge in self._reached(node, None)))
        return all(_fits(one, below.variants[one.name]) for below in everything if one.name in below.variants)

    def _depends(self, node: ConcreteNode, edge: Edge) -> bool:
        if edge.is_direct:
            return self._depends_directly(node, edge)
        found = list(self._reached(node, _LINKED))
        found += [one for one in node.edges if "build" in one.types]
        if not self.line.compilers_are_dependencies and not any(
            edge.spec.name in (one.virtuals or ()) for one in found
        ):
            found = list(self._reached(node, None))
        return any(self._leads_to(one, edge) for one in found)

    def _depends_directly(self, node: ConcreteNode, edge: Edge) -> bool:
        if node.compiler:
            return self._is_built_by(node.compiler, edge)
        wanted = frozenset(edge.types)
        return any(wanted <= one.types and self._leads_to(one, edge) for one in node.edges)

    def _is_built_by(self, compiler: tuple[str, str], edge: Edge) -> bool:
        """Whether a compiler of the time when they were no packages is what is asked for."""
        name, version = compiler
        asked = edge.spec
        if asked.name in _LANGUAGES:
            why = f"which compiler was for {asked.name!r} is not known of specs before Spack 1.0"
            raise CannotJudgeError(Misspelt(edge.column, why, f"name the compiler: %{name}"))
        same = LEGACY_COMPILERS.get(asked.name, asked.name) in ("", LEGACY_COMPILERS.get(name, name))
        says_more = asked.settings or asked.hash or asked.edges
        return same and not says_more and self._has_version(version, asked)

    def _leads_to(self, one: ConcreteEdge, edge: Edge) -> bool:
        asked = edge.spec
        name = LEGACY_COMPILERS.get(asked.name, asked.name) if edge.is_direct else asked.name
        if one.virtuals is None and (edge.virtuals or (name and name not in self.packages)):
            why = f"which virtual packages {one.name} is used for is not known of specs before Spack 0.21"
            raise CannotJudgeError(Misspelt(edge.column, why, "name the package itself"))
        virtuals = one.virtuals or frozenset()
        if edge.virtuals and not (
            virtuals.intersection(edge.virtuals) if edge.is_direct else virtuals.issuperset(edge.virtuals)
        ):
            return False
        if name and name != one.name:
            if name not in virtuals:
                return False
            if str(asked) != asked.name:
                why = f"{name!r} is a virtual package, of which only recipes say what more it is"
                raise CannotJudgeError(Misspelt(edge.column, why, f"name the package, here {one.name}"))
            return True
        if not name and asked.says_nothing:
            return True
        below = self._node(one)
        asked = _renamed(asked, below.name)
        return self._is_like(below, asked) and all(self._depends_directly(below, deeper) for deeper in asked.edges)

    def _reached(self, node: ConcreteNode, types: frozenset[str] | None) -> Iterator[ConcreteEdge]:
        """The edges below a node, those of some types or all, each node entered once."""
        seen: set[str] = set()
        todo = [node]
        while todo:
            for edge in todo.pop().edges:
                if types and not types & edge.types:
                    continue
                yield edge
                if edge.hash not in seen:
                    seen.add(edge.hash)
                    todo.append(self._node(edge))

    def _node(self, edge: ConcreteEdge) -> ConcreteNode:
        found = self.node_of(edge.hash)
        if found is None:
            why = f"nothing is known of {edge.name}/{edge.hash[:7]}, which others depend on"
            raise CannotJudgeError(Misspelt(1, why, "make the index anew: spackitor reindex"))
        return found


def _renamed(asked: AbstractSpec, name: str) -> AbstractSpec:
    return AbstractSpec(name, asked.namespace, asked.versions, asked.settings, asked.hash, asked.edges, asked.column)


def _flags(text: str) -> frozenset[str]:
    """The flags in a text, each with the values that follow it."""
    found: list[str] = []
    for token in text.split():
        if found and not token.startswith("-"):
            found[-1] += f" {token}"
        else:
            found.append(token)
    return frozenset(found)


def _fits(one: Attribute, values: tuple[str | bool, ...]) -> bool:
    if one.value == "*":
        return True
    if one.is_flag:
        return values == (one.values == ("true",),)
    if one.exact:
        return values == tuple(sorted(set(one.values)))
    if one.name == "patches":
        return all(any(str(there).startswith(asked) for there in values) for asked in one.values)
    return set(one.values) <= set(values)


def _is_on(node: ConcreteNode, key: str, value: str, column: int) -> bool:
    if key != "target":
        return value in ("", "None") or value == (node.platform if key == "platform" else node.os)
    if value in ("", "None"):
        return True
    try:
        return is_target_among(node.target, value, node.target_parents)
    except LookupError:
        why = f"it is not known how {node.target!r} compares to others"
        raise CannotJudgeError(Misspelt(column, why, f"name it: target={node.target}")) from None
