"""Local search on clusters: moves packages between the children and the root, so that less waits without need.

What is minimised is the share of pairs of packages that wait for each other without need, plus `CHAIN` times the share
by which the longest chain is longer than in one pipeline. `seconds` of that chain are given by the caller, who may
believe in them or take all for equal. A move that makes nothing worse is kept. The same input gives the same walk.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import Final

from job_creator.engines.gitlab.packing.layout import Room, Weighted

TO_ROOT: Final = 0.25
"""How often a move leads into the root."""

CHAIN: Final = 0.2

RELATIVES: Final = 8
"""So many packages that need or serve the same one lead to clusters that a package may move to."""


class Search:
    """Clusters under change. Nodes are numbered in topological order; clusters of one node are jobs of the root."""

    def __init__(
        self,
        graph: Weighted,
        clusters: Sequence[Sequence[str]],
        room: Room,
        seconds: Mapping[str, float],
    ) -> None:
        self.names = graph.order
        number = {name: index for index, name in enumerate(self.names)}
        # In the order of numbers: sets have another order in every process.
        self.below = [sorted(number[name] for name in graph.edges[node]) for node in self.names]
        self.above: list[list[int]] = [[] for _ in self.names]
        for node, needs in enumerate(self.below):
            for other in needs:
                self.above[other].append(node)
        self.seconds = [seconds[name] for name in self.names]
        self.weights = [graph.weights[name] for name in self.names]
        self.room = room
        self.members = {index: sorted(number[name] for name in nodes) for index, nodes in enumerate(clusters)}
        self.cluster = [0] * len(self.names)
        for index, nodes in self.members.items():
            for node in nodes:
                self.cluster[node] = index
        self.needed_pairs, self.critical = self._needed()
        self.chance = Random(0)  # noqa: S311 - the same walk every time
        self.next = len(clusters)

    def run(self, tries: int) -> list[list[str]]:
        """The clusters after so many moves that were tried, which are the best on the way."""
        best = self._measure()
        for _ in range(tries):
            moved = self._move()
            if not moved:
                continue
            found = self._measure() if self._fits() else None
            if found is not None and (best is None or found <= best):
                best = found
            else:
                for node, origin in reversed(moved):
                    self._set(node, origin)
        return [[self.names[node] for node in nodes] for nodes in self.members.values()]

    def _needed(self) -> tuple[int, float]:
        """The pairs that wait for each other in any case, and the longest chain."""
        before: list[int] = []
        ends: list[float] = []
        pairs = 0
        for node, needs in enumerate(self.below):
            found = 0
            for other in needs:
                found |= before[other] | 1 << other
            before.append(found)
            pairs += found.bit_count()
            ends.append(max((ends[other] for other in needs), default=0.0) + self.seconds[node])
        return pairs, max(ends, default=0.0)

    def _move(self) -> list[tuple[int, int]]:
        """Move a node, and where the root is full another one out of it; the nodes that moved, and where they were."""
        node = self.chance.randrange(len(self.names))
        origin = self.cluster[node]
        moved = [(node, origin)]
        if self.chance.random() >= TO_ROOT:
            target = self._neighbour(node)
            if target is not None:
                self._set(node, target)
            return moved if target is not None else []
        if len(self.members[origin]) == 1:
            return []
        jobs = [nodes[0] for nodes in self.members.values() if len(nodes) == 1]
        self._set(node, self.next)
        self.next += 1
        weight = self.weights[node] + sum(self.weights[one] for one in jobs)
        if jobs and (len(jobs) >= self.room.root.jobs or weight > self.room.root.weight):
            other = self.chance.choice(jobs)
            target = self._neighbour(other)
            if target is not None:
                moved.append((other, self.cluster[other]))
                self._set(other, target)
        return moved

    def _neighbour(self, node: int) -> int | None:
        """Another cluster that has something that the node needs or serves, or that needs or serves the same."""
        near = set(self.below[node]).union(self.above[node])
        for other in self.below[node][:RELATIVES]:
            near.update(self.above[other][:RELATIVES])
        for other in self.above[node][:RELATIVES]:
            near.update(self.below[other][:RELATIVES])
        found = sorted({self.cluster[one] for one in near} - {self.cluster[node]})
        return self.chance.choice(found) if found else None

    def _set(self, node: int, target: int) -> None:
        own = self.members[self.cluster[node]]
        own.remove(node)
        if not own:
            del self.members[self.cluster[node]]
        insort(self.members.setdefault(target, []), node)
        self.cluster[node] = target

    def _fits(self) -> bool:
        jobs = weight = 0
        for nodes in self.members.values():
            if len(nodes) == 1:
                jobs += 1
                weight += self.weights[nodes[0]]
                continue
            heavy = sum(map(self.weights.__getitem__, nodes)) > self.room.child.weight
            if heavy or len(nodes) > self.room.child.jobs:
                return False
        children = len(self.members) - jobs
        return jobs <= self.room.root.jobs and weight <= self.room.root.weight and children <= self.room.children

    def _measure(self) -> float | None:
        """What is minimised; `None` where clusters wait for each other in a circle."""
        reached: dict[int, int] = {}
        ends: dict[int, float] = {}
        before, done = [0] * len(self.cluster), [0.0] * len(self.cluster)
        for index in self._order():
            self._pass(index, reached, ends, before, done)
        if len(reached) < len(self.members):
            return None
        waits = sum(map(int.bit_count, before)) - self.needed_pairs
        every = max(1, len(self.cluster) ** 2 // 2)
        return waits / every + CHAIN * (max(ends.values()) / self.critical - 1)

    def _order(self) -> Iterator[int]:
        """Clusters after those that they wait for, without those that wait for themselves."""
        waiting: dict[int, int] = {}
        users: dict[int, list[int]] = {index: [] for index in self.members}
        for index, nodes in self.members.items():
            needs = {self.cluster[other] for node in nodes for other in self.below[node]}
            needs.discard(index)
            waiting[index] = len(needs)
            for other in needs:
                users[other].append(index)
        ready = [index for index, count in waiting.items() if not count]
        while ready:
            index = ready.pop()
            yield index
            for user in users[index]:
                waiting[user] -= 1
                if not waiting[user]:
                    ready.append(user)

    def _pass(
        self, index: int, reached: dict[int, int], ends: dict[int, float], before: list[int], done: list[float]
    ) -> None:
        """Note what the nodes of a cluster really wait for, as bits, and when they are done."""
        cluster, below = self.cluster, self.below
        nodes = self.members[index]
        others = {cluster[other] for node in nodes for other in below[node]} - {index}
        outside, begin = 0, 0.0
        for other in others:
            outside |= reached[other]
            begin = max(begin, ends[other])
        every, last = outside, begin
        for node in nodes:
            found, end = outside, begin
            for other in below[node]:
                if cluster[other] == index:
                    found |= before[other] | 1 << other
                    end = max(end, done[other])
            before[node], done[node] = found, end + self.seconds[node]
            every |= found | 1 << node
            last = max(last, done[node])
        reached[index], ends[index] = every, last
