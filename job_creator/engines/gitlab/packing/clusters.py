"""Parts of a build graph that grow together from its packages, so that little waits for what it does not need.

Cuts of an order (`cuts`) make parts that wait for each other in a row, whole: what is in the last one waits for
everything. That costs most where durations are other than expected, since the slowest package of every part is then
waited for. Here, parts beside each other are looked for instead.

Every package starts as a part of its own, where nothing waits without need. Two parts that hang together, or need or
serve the same one, become one part as long as parts are too many. Merging lets all that comes after either of them wait
for all that comes before either: `_false_waits` adds up the pairs of packages that begin to wait for each other without
need. A pair counts as much as the product of what both take, but since that is a guess, `trust` says how much of it
counts beside their number. The merge with the fewest for each package of the smaller part is next (small parts first,
else one part swallows all). Merges that would let two parts wait for each other are no candidates.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set
from heapq import heappop, heappush
from itertools import combinations
from typing import Final

from foundation.graph import topological_order
from job_creator.engines.gitlab.packing.cuts import Capacity, Weighted

Parts = tuple[tuple[str, ...], ...]
"""Nodes by part; a part depends on earlier parts only."""

MOST_NODES: Final = 2_000
"""Larger graphs take too long: each merge looks at all parts."""

RELATIVES: Final = 10
"""So many parts that need or serve the same one are thought of as partners."""

SMALLEST: Final = 40
"""So many parts are tried with each other where no two that hang together fit any more."""


def grown(graph: Weighted, capacity: Capacity, counts: Sequence[int], trust: float) -> list[Parts]:
    """Parts in an order in which they may run, for each of some numbers of parts (the highest first) that is reached.

    `trust` is what the expected seconds of a package of usual length count, against 1 for the package itself.
    """
    clusters = _Clusters(graph, capacity, trust)
    found: list[Parts] = []
    for count in counts:
        clusters.merge(count)
        if len(clusters.nodes) > count:
            break
        found.append(clusters.parts())
    return found


class _Clusters:
    """Parts under change, by number; `below` are those that each waits for, `above` those that wait for it."""

    def __init__(self, graph: Weighted, capacity: Capacity, trust: float) -> None:
        order = topological_order(graph.edges)
        number = {name: index for index, name in enumerate(order)}
        self.capacity = capacity
        self.nodes = {index: [name] for index, name in enumerate(order)}
        self.weight = {index: graph.weights[name] for index, name in enumerate(order)}
        usual = sum(graph.seconds.values()) / len(order)
        self.share = {index: 1 + trust * graph.seconds[name] / usual for index, name in enumerate(order)}
        self.below = {number[name]: {number[other] for other in graph.edges[name]} for name in order}
        self.above: dict[int, set[int]] = {index: set() for index in self.below}
        for index, others in self.below.items():
            for other in others:
                self.above[other].add(index)
        self.known: dict[tuple[int, bool], set[int]] = {}
        self.pairs: list[tuple[float, int, int, int]] = []

    def parts(self) -> Parts:
        """The parts, each after those that it waits for."""
        return tuple(
            tuple(self.nodes[int(index)])
            for index in topological_order(
                {str(index): frozenset(map(str, others)) for index, others in sorted(self.below.items())}
            )
        )

    def merge(self, most: int) -> None:
        """Merge until there are no more than `most` parts, or nothing fits any more."""
        self._propose((index, other) for index in self.nodes for other in self._partners(index) if other > index)
        while len(self.nodes) > most:
            if not self.pairs:
                smallest = sorted(self.nodes, key=lambda index: (len(self.nodes[index]), index))[:SMALLEST]
                self._propose(combinations(smallest, 2))
            if not self.pairs:
                return
            cost, _, one, other = heappop(self.pairs)
            if one in self.nodes and other in self.nodes:
                found = self._cost(one, other)
                if found is not None and found <= cost:
                    self._join(one, other)
                elif found is not None:  # other merges have made this one dearer
                    self._push(found, one, other)

    def _propose(self, pairs: Iterable[tuple[int, int]]) -> None:
        for one, other in pairs:
            cost = self._cost(one, other)
            if cost is not None:
                self._push(cost, one, other)

    def _push(self, cost: float, one: int, other: int) -> None:
        heappush(self.pairs, (cost, len(self.nodes[one]) + len(self.nodes[other]), one, other))

    def _partners(self, index: int) -> Iterator[int]:
        found = self.below[index] | self.above[index]
        for beside in (self.below, self.above):
            back = self.above if beside is self.below else self.below
            for other in sorted(beside[index])[:RELATIVES]:
                found |= set(sorted(back[other])[:RELATIVES])
        return iter(sorted(found - {index}))

    def _cost(self, one: int, other: int) -> float | None:
        """False waits for each package of the smaller part; `None` where the two do not fit, or would make a circle."""
        if len(self.nodes[one]) + len(self.nodes[other]) > self.capacity.jobs:
            return None
        if self.weight[one] + self.weight[other] > self.capacity.weight:
            return None
        after = self._all(one, self.above), self._all(other, self.above)
        if other in after[0] and self._leads(one, other):
            return None
        if one in after[1] and self._leads(other, one):
            return None
        before = self._all(one, self.below), self._all(other, self.below)
        return self._false_waits((one, other), before, after) / min(len(self.nodes[one]), len(self.nodes[other]))

    def _leads(self, first: int, last: int) -> bool:
        """Whether there is a way from a part to a later one through others."""
        return last in self._reached(self.above[first] - {last}, self.above)

    def _false_waits(
        self, pair: tuple[int, int], before: tuple[Set[int], Set[int]], after: tuple[Set[int], Set[int]]
    ) -> float:
        """How many pairs of packages wait for each other when the two are one, and did not before."""
        one, other = pair
        own = self.share[one], self.share[other]
        befores = [self._sum(found - {one, other}) for found in before]
        afters = [self._sum(found - {one, other}) for found in after]
        all_before = self._sum((before[0] | before[1]) - {one, other})
        all_after = self._sum((after[0] | after[1]) - {one, other})
        sides = list(zip(own, befores, afters, strict=True))
        through = sum((all_before - first) * last for _, first, last in sides)
        return through + sum(mine * (all_before + all_after - first - last) for mine, first, last in sides)

    def _sum(self, parts: Iterable[int]) -> float:
        return sum(map(self.share.__getitem__, parts))

    def _all(self, part: int, ways: dict[int, set[int]]) -> set[int]:
        """All parts before or after one; remembered until two parts are joined."""
        key = part, ways is self.below
        if key not in self.known:
            self.known[key] = self._reached(ways[part], ways)
        return self.known[key]

    def _reached(self, first: Iterable[int], ways: dict[int, set[int]]) -> set[int]:
        found: set[int] = set()
        waiting = list(first)
        while waiting:
            part = waiting.pop()
            if part not in found:
                found.add(part)
                waiting.extend(ways[part] - found)
        return found

    def _join(self, one: int, other: int) -> None:
        new = max(self.nodes) + 1
        self.known.clear()
        pair = {one, other}
        self.nodes[new] = self.nodes.pop(one) + self.nodes.pop(other)
        self.share[new] = self.share.pop(one) + self.share.pop(other)
        self.weight[new] = self.weight.pop(one) + self.weight.pop(other)
        for ways, back in ((self.below, self.above), (self.above, self.below)):
            ways[new] = (ways.pop(one) | ways.pop(other)) - pair
            for part in ways[new]:
                back[part] = (back[part] - pair) | {new}
        self._propose((new, partner) for partner in self._partners(new))
