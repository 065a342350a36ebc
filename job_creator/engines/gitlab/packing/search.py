"""Local search on a partition: moves jobs of the chain that everything waits for into the part before or after theirs.

With a job its dependents (moving later) or dependencies (moving earlier) of the same part move along, so that parts
stay in order. What is minimised is the makespan with any number of runners; deterministic, bounded by `MAX_TRIES`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import Final

from foundation.graph import Edges, topological_order

MAX_TRIES: Final = 1500
"""Partitions that one search looks at; each costs a pass over all edges."""

TOLERANCE: Final = 0.05
"""By how much a step may lengthen the makespan at first; it falls to nothing (threshold accepting)."""

FROM_CHAIN: Final = 0.7
"""How often the node to move is one of the deciding chain, and not any."""

MAX_EDGES: Final = 1_200_000
"""Edges that one search passes over in all, so that large graphs do not take long."""


class Search:
    """A partition under change. Nodes are numbered in topological order, parts in the order of their dependencies."""

    def __init__(
        self,
        parts: Sequence[Sequence[str]],
        edges: Edges,
        seconds: Mapping[str, float],
        weights: Mapping[str, int],
        capacity: tuple[int, int],
    ) -> None:
        self.names = topological_order(edges)
        number = {name: index for index, name in enumerate(self.names)}
        # Sorted, since the order of a set differs from one process to the next.
        self.below = [tuple(sorted(number[name] for name in edges[node])) for node in self.names]
        self.above: list[list[int]] = [[] for _ in self.names]
        for node, dependencies in enumerate(self.below):
            for dependency in dependencies:
                self.above[dependency].append(node)
        self.seconds = [seconds[name] for name in self.names]
        self.weights = [weights[name] for name in self.names]
        self.capacity = capacity
        self.count = len(parts)
        self.part = [0] * len(self.names)
        for index, nodes in enumerate(parts):
            for name in nodes:
                self.part[number[name]] = index
        self.jobs = [self.part.count(index) for index in range(self.count)]
        self.weight = [0] * self.count
        for node, own in enumerate(self.part):
            self.weight[own] += self.weights[node]
        self.tries = min(MAX_TRIES, MAX_EDGES // (1 + sum(map(len, self.below))))

    @property
    def makespan(self) -> float:
        """How long the parts as they are take with any number of runners, in seconds."""
        return self._measure()[0]

    def run(self) -> tuple[tuple[str, ...], ...]:
        """The best parts that were met on the way."""
        chance = Random(0)  # noqa: S311 - the same walk every time
        (makespan, chain), best = self._measure(), list(self.part)
        least = makespan
        for tried in range(self.tries):
            node = chance.choice(chain) if chance.random() < FROM_CHAIN else chance.randrange(len(self.part))
            move = self._move(node, later=chance.random() < 0.5)
            if move is None:
                continue
            moved, own, target = move
            self._set(moved, target)
            found, following = self._measure()
            tolerance = TOLERANCE * least * (1 - tried / self.tries)
            if found > makespan + tolerance:
                self._set(moved, own)
                continue
            makespan, chain = found, following
            if found < least:
                least, best = found, list(self.part)
        parts: list[list[str]] = [[] for _ in range(self.count)]
        for node, part in enumerate(best):
            parts[part].append(self.names[node])
        return tuple(tuple(part) for part in parts if part)

    def _set(self, nodes: Sequence[int], part: int) -> None:
        for node in nodes:
            own = self.part[node]
            self.jobs[own] -= 1
            self.jobs[part] += 1
            self.weight[own] -= self.weights[node]
            self.weight[part] += self.weights[node]
            self.part[node] = part

    def _measure(self) -> tuple[float, list[int]]:
        """The makespan, and the nodes of the chain that decides it."""
        part, below, seconds = self.part, self.below, self.seconds
        length = [0.0] * len(part)
        longest, last = [0.0] * self.count, [-1] * self.count
        before: list[set[int]] = [set() for _ in range(self.count)]
        for node, own in enumerate(part):
            start = 0.0
            for dependency in below[node]:
                other = part[dependency]
                if other == own:
                    start = max(start, length[dependency])
                else:
                    before[own].add(other)
            length[node] = start + seconds[node]
            if last[own] < 0 or length[node] > longest[own]:
                longest[own], last[own] = length[node], node
        done = [0.0] * self.count
        for index in range(self.count):
            done[index] = longest[index] + max((done[other] for other in before[index]), default=0.0)
        chain: list[int] = []
        index = max(range(self.count), key=done.__getitem__)
        while True:
            chain += self._chain(last[index], length)
            if not before[index]:
                return max(done), chain
            index = max(sorted(before[index]), key=done.__getitem__)

    def _chain(self, node: int, length: Sequence[float]) -> Iterator[int]:
        while node >= 0:
            yield node
            inner = [other for other in self.below[node] if self.part[other] == self.part[node]]
            node = max(inner, key=length.__getitem__) if inner else -1

    def _move(self, node: int, *, later: bool) -> tuple[list[int], int, int] | None:
        """The nodes that move with a node, from where and to where; `None` if they do not fit there."""
        own = self.part[node]
        target = own + 1 if later else own - 1
        if not 0 <= target < self.count:
            return None
        moved = self._closure(node, self.above if later else self.below)
        jobs = self.jobs[target] + len(moved)
        weight = self.weight[target] + sum(self.weights[other] for other in moved)
        if jobs > self.capacity[0] or weight > self.capacity[1] or len(moved) == self.jobs[own]:
            return None
        return moved, own, target

    def _closure(self, node: int, neighbours: Sequence[Sequence[int]]) -> list[int]:
        own = self.part[node]
        found = {node}
        waiting = [node]
        while waiting:
            for other in neighbours[waiting.pop()]:
                if self.part[other] == own and other not in found:
                    found.add(other)
                    waiting.append(other)
        return sorted(found)
