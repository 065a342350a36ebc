"""The build graph: DAG hashes, and what each of them depends on.

Pipelines of GitLab are one view of it; nothing here knows of them. Edges point from a package to its dependencies.
All functions give the same answer whatever the order of their input.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

Edges = Mapping[str, frozenset[str]]
"""The dependencies of each node; every node is a key."""


@dataclass(frozen=True, slots=True)
class Package:
    """What a node stands for."""

    name: str
    version: str
    is_external: bool = False


@dataclass(frozen=True, slots=True)
class BuildGraph:
    """Packages by DAG hash, and their dependencies of every type."""

    packages: Mapping[str, Package]
    edges: Edges


class GraphError(ValueError):
    """The edges go round in a circle; `circle` names its nodes."""

    def __init__(self, circle: Iterable[str]) -> None:
        self.circle = tuple(circle)
        super().__init__(" -> ".join(self.circle))


def union(graphs: Iterable[BuildGraph]) -> BuildGraph:
    """All packages and all edges of several graphs."""
    packages: dict[str, Package] = {}
    edges: dict[str, frozenset[str]] = {}
    for graph in graphs:
        packages.update(graph.packages)
        for node, dependencies in graph.edges.items():
            edges[node] = edges.get(node, frozenset()) | dependencies
    return BuildGraph(packages, edges)


def topological_order(edges: Edges) -> tuple[str, ...]:
    """All nodes, dependencies first, otherwise by name. Raises `GraphError`."""
    sorter = TopologicalSorter({node: sorted(edges[node]) for node in sorted(edges)})
    try:
        return tuple(sorter.static_order())
    except CycleError as error:
        raise GraphError(error.args[1]) from None


def between(edges: Edges, wanted: Collection[str]) -> Edges:
    """The edges between the wanted nodes, also those that lead across others. Raises `GraphError`."""
    keep = frozenset(wanted)
    nearest: dict[str, frozenset[str]] = {}
    for node in topological_order(edges):
        found: set[str] = set()
        for dependency in edges[node]:
            found |= {dependency} if dependency in keep else nearest[dependency]
        nearest[node] = frozenset(found)
    return {node: nearest.get(node, frozenset()) for node in sorted(keep)}


def reduced(edges: Edges) -> Edges:
    """The fewest edges with the same order: without those that others imply (the transitive reduction).

    The nodes that each node reaches are the bits of one integer, which makes this quick for tens of thousands of
    nodes. Raises `GraphError`.
    """
    order = topological_order(edges)
    position = {node: index for index, node in enumerate(order)}
    reach: dict[str, int] = {}
    result: dict[str, frozenset[str]] = {}
    for node in order:
        implied = 0
        kept: list[str] = []
        for dependency in sorted(edges[node], key=position.__getitem__, reverse=True):
            bit = 1 << position[dependency]
            if not implied & bit:
                kept.append(dependency)
                implied |= reach[dependency] | bit
        reach[node] = implied
        result[node] = frozenset(kept)
    return result


def reachable(edges: Edges) -> dict[str, frozenset[str]]:
    """Everything that each node depends on, directly or not. Raises `GraphError`."""
    found: dict[str, frozenset[str]] = {}
    for node in topological_order(edges):
        found[node] = edges[node].union(*(found[dependency] for dependency in edges[node]))
    return found


def finish_times(edges: Edges, seconds: Mapping[str, float]) -> dict[str, float]:
    """When each node can be done at the earliest if nothing is scarce, in seconds from the start."""
    done: dict[str, float] = {}
    for node in topological_order(edges):
        done[node] = seconds[node] + max((done[dependency] for dependency in edges[node]), default=0.0)
    return done


def remaining_times(edges: Edges, seconds: Mapping[str, float]) -> dict[str, float]:
    """How long it takes from the start of each node until everything that depends on it is done, in seconds."""
    rest = dict.fromkeys(edges, 0.0)
    for node in reversed(topological_order(edges)):
        rest[node] += seconds[node]
        for dependency in edges[node]:
            rest[dependency] = max(rest[dependency], rest[node])
    return rest


def critical_path(edges: Edges, seconds: Mapping[str, float]) -> tuple[str, ...]:
    """The longest chain of nodes, from its first to its last; of several, the first by name."""
    done = finish_times(edges, seconds)
    path: list[str] = []
    candidates: Collection[str] = edges.keys()
    while candidates:
        last = max(sorted(candidates), key=done.__getitem__)
        path.append(last)
        candidates = edges[last]
    return tuple(reversed(path))


def not_implied(edges: Edges, by: Edges) -> tuple[tuple[str, str], ...]:
    """The edges whose order other edges over the same nodes do not imply, as pairs of node and dependency, sorted.

    Raises `GraphError`.
    """
    order = topological_order(by)
    position = {node: index for index, node in enumerate(order)}
    reach: dict[str, int] = {}
    for node in order:
        reach[node] = 0
        for dependency in by[node]:
            reach[node] |= reach[dependency] | 1 << position[dependency]
    return tuple(
        (node, dependency)
        for node in sorted(edges)
        for dependency in sorted(edges[node])
        if not reach[node] & 1 << position[dependency]
    )
