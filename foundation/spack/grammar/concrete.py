"""A node of a concrete spec, as specs are held against it.

Sources: `from_node_dict` and `dependencies_from_node_dict` in lib/spack/spack/spec.py (specfile versions 2 to 5).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from foundation.spack.grammar.syntax import COMPILER_FLAGS
from foundation.spack.lockfile import dependency_types
from foundation.spack.specs import Node


@dataclass(frozen=True, slots=True)
class ConcreteEdge:
    """What a package depends on, and which virtual packages that is for it; `None` where Spack wrote none down."""

    name: str
    hash: str
    types: frozenset[str]
    virtuals: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class ConcreteNode:
    """What a node says of itself.

    Values of variants are sorted; those of flags that are on or off are `True` or `False`. `compiler` has name and
    version for nodes that Spack wrote before compilers were packages.
    """

    name: str
    hash: str
    namespace: str
    version: str
    platform: str
    os: str
    target: str
    target_parents: tuple[str, ...]
    variants: Mapping[str, tuple[str | bool, ...]]
    flags: Mapping[str, frozenset[str]]
    edges: tuple[ConcreteEdge, ...]
    compiler: tuple[str, str] | None


def concrete_node(node: Node, hash_: str = "") -> ConcreteNode:
    """Read a node of a lockfile, spec file or index. Raises `KeyError`, `TypeError` or `AttributeError` for others."""
    architecture = node.get("arch") or {}
    target = architecture.get("target") or ""
    parents = tuple(target["parents"]) if isinstance(target, Mapping) else ()
    parameters = node.get("parameters") or {}
    return ConcreteNode(
        node["name"],
        hash_ or node["hash"],
        node.get("namespace") or "",
        str(node["version"]),
        architecture.get("platform") or "",
        architecture.get("platform_os") or "",
        str(target["name"] if isinstance(target, Mapping) else target),
        parents,
        {name: _values(value) for name, value in parameters.items() if name not in COMPILER_FLAGS},
        {name: frozenset(value) for name, value in parameters.items() if name in COMPILER_FLAGS},
        tuple(_edges(node)),
        _compiler(node),
    )


def _values(value: Any) -> tuple[str | bool, ...]:
    if isinstance(value, list):
        return tuple(sorted({str(one) for one in value}))
    text = str(value)
    return (text.lower() == "true",) if text.lower() in ("true", "false") else (text,)


def _edges(node: Node) -> Iterator[ConcreteEdge]:
    types = dependency_types(node)
    for one in node.get("dependencies", ()):
        virtuals = one.get("parameters", {}).get("virtuals")
        said = None if virtuals is None else frozenset(virtuals)
        yield ConcreteEdge(one["name"], one["hash"], types[one["hash"]], said)


def _compiler(node: Node) -> tuple[str, str] | None:
    if before := node.get("compiler"):
        return str(before["name"]), str(before["version"])
    noted = (node.get("annotations") or {}).get("compiler")
    if not noted or noted == "None":
        return None
    name, _, version = str(noted).partition("@")
    return name, version.removeprefix("=")
