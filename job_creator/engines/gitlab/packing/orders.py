"""Orders of a build graph in which every node comes after its dependencies: the lines along which it may be cut."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from foundation.graph import Edges, finish_times, topological_order

MIXES: Final = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Between ordering by the earliest (0) and by the latest (1) possible times."""


def orders(edges: Edges, seconds: Mapping[str, float], rest: Mapping[str, float]) -> Iterator[tuple[str, ...]]:
    """Orders between "as early as possible" and "as late as possible", and one that keeps together what hangs together.

    `seconds` is what each node takes, `rest` how long it takes from its start until all that needs it is done.
    """
    position = {node: index for index, node in enumerate(topological_order(edges))}
    done = finish_times(edges, seconds)
    end = max(done.values(), default=0.0)
    early = {node: done[node] - seconds[node] for node in edges}
    late = {node: end - rest[node] for node in edges}
    yield _deep_first(edges, rest)
    for mix in MIXES:
        for at_end in (0.0, 0.5, 1.0):
            when = {node: (1 - mix) * early[node] + mix * late[node] + at_end * seconds[node] for node in edges}
            yield tuple(sorted(edges, key=lambda node: (when[node], position[node])))


def by_urgency(nodes: Sequence[str], rest: Mapping[str, float]) -> tuple[str, ...]:
    """The order in which runners should take jobs: first what most work still hangs on."""
    return tuple(sorted(nodes, key=lambda node: (-rest[node], node)))


def _deep_first(edges: Edges, rest: Mapping[str, float]) -> tuple[str, ...]:
    """The order that keeps what hangs together in one piece: each node right after its dependencies."""
    users = dict.fromkeys(edges, 0)
    for node in edges:
        for dependency in edges[node]:
            users[dependency] += 1
    found: dict[str, None] = {}
    for last in by_urgency([node for node in edges if not users[node]], rest):
        waiting = [last]
        while waiting:
            missing = [one for one in edges[waiting[-1]] if one not in found]
            if missing:
                waiting.append(max(missing, key=lambda one: (rest[one], one)))
            else:
                found[waiting.pop()] = None
    return tuple(found)
