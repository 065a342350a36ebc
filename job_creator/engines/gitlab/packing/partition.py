"""Cutting a build graph into few child pipelines that finish early.

A child pipeline starts when all children that it depends on have ended, whole. So the cuts decide how long jobs wait
for jobs that they do not need. All partitions here are convex: their parts can be put in an order in which no part
depends on a later one, hence no two wait for each other.

Candidates come from a family of orders between "as soon as possible" and "as late as possible", each cut where the sum
of the longest chains of its parts is least (dynamic programming). The simulator says which of them is best.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from foundation.graph import Edges, finish_times, remaining_times, topological_order
from job_creator.engines.gitlab.packing.search import Search
from job_creator.engines.gitlab.simulation import prepare

Partition = tuple[tuple[str, ...], ...]
"""Nodes by part; a part depends on earlier parts only."""

RUNNERS: Final = (10, 40, 100, 1000)
"""Sizes of runner fleets that a partition is judged by."""

MIXES: Final = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Between ordering by the earliest (0) and by the latest (1) possible times."""

SEARCHED: Final = 16
"""How many of the best candidates are searched around."""

CUT_POSITIONS: Final = 120
"""Places at which an order may be cut; more are slower and hardly better."""

SMALL: Final = 1_000
"""Up to so many packages everything is tried."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """What one part can hold: a number of jobs, and a sum of their weights (bytes of parsed size)."""

    jobs: int
    weight: int


def partition(edges: Edges, seconds: Mapping[str, float], weights: Mapping[str, int], capacity: Capacity) -> Partition:
    """The best partition found into as few parts as the capacity allows. The same input gives the same parts."""
    candidates = list(dict.fromkeys(_candidates(edges, seconds, weights, capacity)))
    fewest = min(len(candidate) for candidate in candidates)
    fitting = [candidate for candidate in candidates if len(candidate) == fewest]
    if fewest == 1:
        return fitting[0]
    searches = [Search(parts, edges, seconds, weights, (capacity.jobs, capacity.weight)) for parts in fitting]
    best = sorted(range(len(fitting)), key=lambda index: searches[index].makespan)[: _effort(SEARCHED, edges)]
    rest = remaining_times(edges, seconds)
    improved = [tuple(by_urgency(part, rest) for part in searches[index].run()) for index in best]
    pool = dict.fromkeys([*improved, *(fitting[index] for index in best)])
    bounds = {runners: lower_bound(edges, seconds, runners) for runners in RUNNERS}
    return min(pool, key=lambda parts: _worst_ratio(parts, edges, seconds, bounds))


def _effort(number: int, edges: Edges) -> int:
    """Less of everything that is tried for large graphs, which take longer each time and have more ways to be good."""
    return max(1, min(number, number * SMALL // len(edges)))


def lower_bound(edges: Edges, seconds: Mapping[str, float], runners: int) -> float:
    """No schedule is shorter than this: the critical path, and the work divided by the runners, in seconds."""
    critical = max(finish_times(edges, seconds).values(), default=0.0)
    return max(critical, sum(seconds[node] for node in edges) / runners)


def _worst_ratio(parts: Partition, edges: Edges, seconds: Mapping[str, float], bounds: Mapping[int, float]) -> float:
    """The makespan of a partition against the lower bound, for the number of runners where it is worst."""
    simulation = prepare(skeleton(parts, edges), "root", lambda name, _: seconds.get(name, 0.0))
    return max(simulation.run(runners).makespan / bound for runners, bound in bounds.items())


def part_dependencies(parts: Partition, edges: Edges) -> tuple[frozenset[int], ...]:
    """The earlier parts that each part depends on, without those that others imply."""
    part_of = {node: index for index, nodes in enumerate(parts) for node in nodes}
    implied: list[frozenset[int]] = []
    result: list[frozenset[int]] = []
    for index, nodes in enumerate(parts):
        direct = {part_of[dependency] for node in nodes for dependency in edges[node]} - {index}
        kept: set[int] = set()
        reached: set[int] = set()
        for other in sorted(direct, reverse=True):
            if other not in reached:
                kept.add(other)
                reached |= implied[other] | {other}
        implied.append(frozenset(reached))
        result.append(frozenset(kept))
    return tuple(result)


def skeleton(parts: Partition, edges: Edges) -> dict[str, dict[str, Any]]:
    """Pipelines with the shape of a partition and nothing else, as the simulator reads them."""
    files: dict[str, dict[str, Any]] = {}
    root: dict[str, Any] = {"stages": ["build"]}
    for index, (nodes, before) in enumerate(zip(parts, part_dependencies(parts, edges), strict=True)):
        inside = set(nodes)
        files[f"{index}.yaml"] = {
            "stages": ["build"],
            **{node: {"stage": "build", "script": ["x"], "needs": sorted(edges[node] & inside)} for node in nodes},
        }
        root[f"part {index}"] = {
            "stage": "build",
            "needs": [f"part {other}" for other in sorted(before)],
            "trigger": {"include": f"{index}.yaml", "strategy": "depend"},
        }
    return {"root": root, **files}


def by_urgency(nodes: Sequence[str], rest: Mapping[str, float]) -> tuple[str, ...]:
    """The order in which runners should take jobs: first what most work still hangs on."""
    return tuple(sorted(nodes, key=lambda node: (-rest[node], node)))


def _candidates(
    edges: Edges, seconds: Mapping[str, float], weights: Mapping[str, int], capacity: Capacity
) -> Iterator[Partition]:
    rest = remaining_times(edges, seconds)
    yielded = False
    for order in _orders(edges, seconds, rest):
        for cuts in _cuts(order, edges, seconds, weights, capacity):
            yielded = True
            parts = [order[start:end] for start, end in zip((0, *cuts), cuts, strict=False)]
            yield tuple(by_urgency(part, rest) for part in parts)
    if not yielded:
        raise ValueError("one job alone is over the capacity of a part")


def _orders(edges: Edges, seconds: Mapping[str, float], rest: Mapping[str, float]) -> Iterator[tuple[str, ...]]:
    """Orders in which every node comes after its dependencies."""
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


def _cuts(
    order: Sequence[str],
    edges: Edges,
    seconds: Mapping[str, float],
    weights: Mapping[str, int],
    capacity: Capacity,
) -> Iterator[tuple[int, ...]]:
    """Ends of the parts: where the sum of the longest chains is least with the fewest parts, and evenly spread."""
    total = sum(weights[node] for node in order)
    fewest = max(math.ceil(len(order) / capacity.jobs), math.ceil(total / capacity.weight), 1)
    for count in range(fewest, len(order) + 1):
        evenly = {round(len(order) * part / count) for part in range(1, count + 1)}
        places = sorted(evenly | set(_places(len(order), count)))
        best = _least_chains(order, places, edges, seconds, weights, capacity, count)
        if best:
            yield best
            return


def _places(length: int, parts: int) -> range:
    number = max(2 * parts, min(CUT_POSITIONS, CUT_POSITIONS * SMALL // length))
    step = max(1, length // number)
    return range(step, length + 1, step)


def _least_chains(
    order: Sequence[str],
    places: Sequence[int],
    edges: Edges,
    seconds: Mapping[str, float],
    weights: Mapping[str, int],
    capacity: Capacity,
    count: int,
) -> tuple[int, ...] | None:
    """The ends of at most `count` parts with the least sum of longest chains; `None` if they do not fit."""
    starts = [0, *(place for place in places if place < len(order))]
    chains = {start: dict(_chains(order, start, set(places), edges, seconds, weights, capacity)) for start in starts}
    best: dict[int, tuple[float, tuple[int, ...]]] = {0: (0.0, ())}
    for _ in range(count):
        following: dict[int, tuple[float, tuple[int, ...]]] = {}
        for start, (cost, cuts) in best.items():
            for end, chain in chains.get(start, {}).items():
                found = (cost + chain, (*cuts, end))
                if end not in following or found < following[end]:
                    following[end] = found
        best = following
        if len(order) in best:
            return best[len(order)][1]
    return None


def _chains(
    order: Sequence[str],
    start: int,
    places: set[int],
    edges: Edges,
    seconds: Mapping[str, float],
    weights: Mapping[str, int],
    capacity: Capacity,
) -> Iterator[tuple[int, float]]:
    """For each possible end of a part that begins at `start`, its longest chain, as long as it fits."""
    done: dict[str, float] = {}
    longest, weight = 0.0, 0
    for index in range(start, min(len(order), start + capacity.jobs)):
        node = order[index]
        weight += weights[node]
        if weight > capacity.weight:
            return
        begin = max((done[dependency] for dependency in edges[node] if dependency in done), default=0.0)
        done[node] = begin + seconds[node]
        longest = max(longest, done[node])
        if index + 1 in places:
            yield index + 1, longest
