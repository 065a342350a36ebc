"""Children of a pipeline that grow together from single packages, so that little waits for what it does not need.

Every package starts as a job of the root, where nothing waits without need. Two clusters that hang together, or need or
serve the same one, are merged as long as the root has too many jobs, or too many children. Then all that comes after
either of them waits for all that comes before either: `_false_waits` counts the pairs of packages that begin to wait
for each other without need. The merge with the fewest for each package of the smaller cluster is next (small clusters
first, else one swallows all). Merges that would let two clusters wait for each other are no candidates.

What comes before and after a cluster are the bits of one integer: a bit for each package, and more for one that is
expected to take long, so that pairs count as much as they may cost.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from heapq import heappop, heappush, heapreplace
from itertools import accumulate, combinations
from typing import Final

from job_creator.engines.gitlab.packing.layout import Room, Weighted

MOST_NODES: Final = 2_500
"""Larger graphs take too long: each merge looks at all clusters."""

RELATIVES: Final = 10
"""So many clusters that need or serve the same one are thought of as partners."""

SMALLEST: Final = 40
"""So many clusters are tried with each other where no two that hang together fit any more."""


MOST_BITS: Final = 30
"""So many more bits a package has at most."""

WORTH: Final = 0.0005
"""The part of all pairs of packages that a child more has to keep from waiting for each other."""


def grown(graph: Weighted, room: Room, trust: float) -> list[list[str]] | None:
    """Clusters that fit the room, those of one node being jobs of the root; `None` if none were found.

    Packages count for 1 and `trust` times what they are expected to take, in that of a usual one.
    """
    usual = sum(graph.seconds.values()) / len(graph.seconds)
    longer = {node: min(MOST_BITS, round(trust * taken / usual)) for node, taken in graph.seconds.items()}
    clusters = _Clusters(graph, room, {node: 1 + more for node, more in longer.items()})
    return clusters.nodes() if clusters.merge() else None


def tidied(graph: Weighted, room: Room, clusters: Iterable[Iterable[str]]) -> list[list[str]]:
    """The same clusters without children that are worth nothing: made one with others, or jobs of the root."""
    found = _Clusters(graph, room, dict.fromkeys(graph.edges, 1))
    number = {name: index for index, name in enumerate(found.names)}
    for names in clusters:
        one, *others = (number[name] for name in names)
        for other in others:
            one = found.join(one, other)
    found.tidy()
    return list(_dissolved(graph, room, found.nodes()))


def _dissolved(graph: Weighted, room: Room, clusters: list[list[str]]) -> Iterator[list[str]]:
    """The clusters, of which those that the root has room for are jobs of it, the largest first."""
    jobs = sum(len(nodes) == 1 for nodes in clusters)
    weight = sum(graph.weights[nodes[0]] for nodes in clusters if len(nodes) == 1)
    for nodes in sorted(clusters, key=len, reverse=True):
        more = sum(graph.weights[node] for node in nodes)
        if len(nodes) > 1 and jobs + len(nodes) <= room.root.jobs and weight + more <= room.root.weight:
            jobs, weight = jobs + len(nodes), weight + more
            yield from ([node] for node in nodes)
        else:
            yield nodes


class _Clusters:
    """Clusters under change, by number. `below` are those that each waits for directly, `above` what waits for it."""

    def __init__(self, graph: Weighted, room: Room, bits: Mapping[str, int]) -> None:
        self.names = graph.order
        number = {name: index for index, name in enumerate(self.names)}
        self.room = room
        self.members = {index: [name] for index, name in enumerate(self.names)}
        begins = accumulate((bits[name] for name in self.names), initial=0)
        self.own = {
            index: ((1 << bits[name]) - 1) << begin
            for index, (name, begin) in enumerate(zip(self.names, begins, strict=False))
        }
        self.weight = {index: graph.weights[name] for index, name in enumerate(self.names)}
        self.below = {number[name]: {number[other] for other in graph.edges[name]} for name in self.names}
        self.above: dict[int, set[int]] = {index: set() for index in self.below}
        self.before: dict[int, int] = {}
        for index, others in self.below.items():
            self.before[index] = 0
            for other in others:
                self.above[other].add(index)
                self.before[index] |= self.before[other] | self.own[other]
        self.after: dict[int, int] = {}
        for index in reversed(self.own):
            self.after[index] = 0
            for other in self.above[index]:
                self.after[index] |= self.after[other] | self.own[other]
        self.alone = set(self.own)
        self.alone_weight = sum(self.weight.values())
        self.pairs: list[tuple[float, int, int, int]] = []

    def nodes(self) -> list[list[str]]:
        """The nodes of each cluster."""
        return list(self.members.values())

    def merge(self) -> bool:
        """Merge until everything fits; false if it never does."""
        self._propose((one, other) for one in self.own for other in self._partners(one) if other > one)
        while not (self._root_fits() and len(self.own) - len(self.alone) <= self.room.children):
            if self._root_fits():
                # From here on the root keeps what it has.
                self.pairs = [pair for pair in self.pairs if not self.alone.intersection(pair[2:])]
            found = self._next()
            if found is None:
                return False
            new = self.join(*found)
            partners = self._partners(new)
            self._propose((new, partner) for partner in partners if not (self._root_fits() and partner in self.alone))
        return True

    def tidy(self) -> None:
        """Merge children for which next to nothing waits."""
        most = WORTH * len(self.names) ** 2 / 2
        while True:
            children = sorted(self.own.keys() - self.alone)
            pairs = [(self._false_waits(*pair), pair) for pair in combinations(children, 2)]
            cost, pair = min(((cost, pair) for cost, pair in pairs if cost is not None), default=(most + 1, (0, 0)))
            if cost > most:
                return
            self.join(*pair)

    def _root_fits(self) -> bool:
        return len(self.alone) <= self.room.root.jobs and self.alone_weight <= self.room.root.weight

    def _next(self) -> tuple[int, int] | None:
        """The cheapest pair; a pair that other merges have made dearer waits for its turn."""
        for _ in range(2):
            while self.pairs:
                cost, _, one, other = self.pairs[0]
                found = self._cost(one, other) if one in self.own and other in self.own else None
                if found is None:
                    heappop(self.pairs)
                elif found > cost:
                    heapreplace(self.pairs, self._pair(found, one, other))
                else:
                    return one, other
            some = self.own.keys() - self.alone if self._root_fits() else self.own
            self._propose(combinations(sorted(some, key=lambda one: (self.own[one].bit_count(), one))[:SMALLEST], 2))
        return None

    def _propose(self, pairs: Iterable[tuple[int, int]]) -> None:
        for one, other in pairs:
            cost = self._cost(one, other)
            if cost is not None:
                heappush(self.pairs, self._pair(cost, one, other))

    def _pair(self, cost: float, one: int, other: int) -> tuple[float, int, int, int]:
        return cost, (self.own[one] | self.own[other]).bit_count(), one, other

    def _partners(self, one: int) -> Iterator[int]:
        found = self.below[one] | self.above[one]
        for beside, back in ((self.below, self.above), (self.above, self.below)):
            for other in sorted(beside[one])[:RELATIVES]:
                found |= set(sorted(back[other])[:RELATIVES])
        return iter(sorted(found - {one}))

    def _cost(self, one: int, other: int) -> float | None:
        """False waits for each package of the smaller one, as far as its bits count."""
        count = self._false_waits(one, other)
        return None if count is None else count / min(self.own[one].bit_count(), self.own[other].bit_count())

    def _false_waits(self, one: int, other: int) -> int | None:
        """Pairs that begin to wait for each other; `None` where the two do not fit, or would make a circle."""
        sizes = self.own[one].bit_count(), self.own[other].bit_count()
        jobs = len(self.members[one]) + len(self.members[other])
        if jobs > self.room.child.jobs or self.weight[one] + self.weight[other] > self.room.child.weight:
            return None
        if self._leads(one, other) or self._leads(other, one):
            return None
        both = self.own[one] | self.own[other]
        before = (self.before[one] | self.before[other]) & ~both
        after = (self.after[one] | self.after[other]) & ~both
        count = 0
        for cluster, size in zip((one, other), sizes, strict=True):
            own_after = (self.after[cluster] & ~both).bit_count()
            new_before = (before & ~self.before[cluster]).bit_count()
            count += size * (new_before + after.bit_count() - own_after) + new_before * own_after
        return count

    def _leads(self, first: int, last: int) -> bool:
        """Whether there is a way from a cluster to a later one through others."""
        if not self.own[first] & self.before[last]:
            return False
        return any(self.own[one] & self.before[last] for one in self.above[first] if one != last)

    def join(self, one: int, other: int) -> int:
        """Make two clusters one; its number."""
        new, pair = max(self.own) + 1, {one, other}
        self.alone_weight -= sum(self.weight[index] for index in pair & self.alone)
        self.alone -= pair
        own = self.own.pop(one) | self.own.pop(other)
        before = (self.before.pop(one) | self.before.pop(other)) & ~own
        after = (self.after.pop(one) | self.after.pop(other)) & ~own
        for index, nodes in self.own.items():
            if nodes & after:
                self.before[index] |= before | own
            if nodes & before:
                self.after[index] |= after | own
        self.own[new], self.before[new], self.after[new] = own, before, after
        self.members[new] = self.members.pop(one) + self.members.pop(other)
        self.weight[new] = self.weight.pop(one) + self.weight.pop(other)
        for ways, back in ((self.below, self.above), (self.above, self.below)):
            ways[new] = (ways.pop(one) | ways.pop(other)) - pair
            for index in ways[new]:
                back[index] = (back[index] - pair) | {new}
        return new
