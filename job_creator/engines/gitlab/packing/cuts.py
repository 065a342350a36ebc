"""Where an order of a build graph is cut into parts that finish early.

Parts run one after the other where one needs another, so a cut costs the longest chain of each part. Which cuts cost
least is found by dynamic programming. Let `chain(s, e)` be the longest chain, in seconds, among the nodes from place
`s` of the order up to, but without, place `e`, and `cost(k, e)` the least sum of longest chains when the nodes before
`e` are cut into `k` parts. Then

    cost(0, 0) = 0        cost(k, e) = min over s < e of cost(k - 1, s) + chain(s, e)

where only those `chain(s, e)` count whose part fits. The first `k` that reaches the end of the order has the answer.

With `p` places to cut, `n` nodes and `m` edges all chains cost `p` passes over the order, O(p (n + m)), and the
recurrence O(k p^2): this is why places are few (`CUT_POSITIONS`) and not every node. Costs are compared together with
their cuts, so that of two equal ones the same wins each time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

from job_creator.engines.gitlab.packing.layout import Capacity, Weighted

CUT_POSITIONS: Final = 120
"""Places at which an order may be cut; more are slower and hardly better."""

SMALL: Final = 1_000
"""Up to so many packages everything is tried."""


def best_cuts(order: Sequence[str], graph: Weighted, capacity: Capacity) -> Iterator[tuple[int, ...]]:
    """The ends of the parts, with the fewest parts that fit; nothing where one node alone is over the capacity."""
    total = sum(graph.weights[node] for node in order)
    fewest = max(math.ceil(len(order) / capacity.jobs), math.ceil(total / capacity.weight), 1)
    for count in range(fewest, len(order) + 1):
        evenly = {round(len(order) * part / count) for part in range(1, count + 1)}
        places = evenly | set(_places(len(order), count))
        best = _least_chains(order, places, graph, capacity, count)
        if best:
            yield best
            return


def _places(length: int, parts: int) -> range:
    number = max(2 * parts, min(CUT_POSITIONS, CUT_POSITIONS * SMALL // length))
    step = max(1, length // number)
    return range(step, length + 1, step)


def _least_chains(
    order: Sequence[str], places: set[int], graph: Weighted, capacity: Capacity, count: int
) -> tuple[int, ...] | None:
    """The recurrence above: the ends of at most `count` parts; `None` if they do not fit."""
    starts = [0, *(place for place in sorted(places) if place < len(order))]
    chains = {start: dict(_chains(order, start, places, graph, capacity)) for start in starts}
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
    order: Sequence[str], start: int, places: set[int], graph: Weighted, capacity: Capacity
) -> Iterator[tuple[int, float]]:
    """For each possible end of a part that begins at `start`, its longest chain, as long as it fits."""
    done: dict[str, float] = {}
    longest, weight = 0.0, 0
    for index in range(start, min(len(order), start + capacity.jobs)):
        node = order[index]
        weight += graph.weights[node]
        if weight > capacity.weight:
            return
        begin = max((done[dependency] for dependency in graph.edges[node] if dependency in done), default=0.0)
        done[node] = begin + graph.seconds[node]
        longest = max(longest, done[node])
        if index + 1 in places:
            yield index + 1, longest
