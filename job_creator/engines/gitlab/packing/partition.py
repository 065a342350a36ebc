"""Cutting a build graph into few child pipelines that finish early.

A child pipeline starts when all children that it depends on have ended, whole. So the cuts decide how long jobs wait
for jobs that they do not need. All partitions here are convex: their parts can be put in an order in which no part
depends on a later one, hence no two wait for each other.

Candidates come from a family of orders between "as soon as possible" and "as late as possible", each cut where the sum
of the longest chains of its parts is least (dynamic programming), and from parts that grow beside each other. How long
packages take is a guess; so the simulator plays candidates with other durations as well, and the one that is best where
it is worst is taken. A part more than needed has to shorten that by `WORTH`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from random import Random
from typing import Final

from foundation.graph import Edges, finish_times, remaining_times, topological_order
from job_creator.engines.gitlab.packing.clusters import MOST_NODES, grown
from job_creator.engines.gitlab.packing.cuts import SMALL, Capacity, Weighted, best_cuts
from job_creator.engines.gitlab.packing.orders import by_urgency, orders
from job_creator.engines.gitlab.packing.search import Search
from job_creator.engines.gitlab.running_pipelines import RunningJob, RunningPipeline
from job_creator.engines.gitlab.simulation import lay_out

Partition = tuple[tuple[str, ...], ...]
"""Nodes by part; a part depends on earlier parts only."""

RUNNERS: Final = (10, 40, 100, 1000)
"""Sizes of runner fleets that a partition is judged by."""

SEARCHED: Final = 8
"""How many of the best candidates are searched around."""

PLAYED: Final = 8
"""How many of the best are played by the simulator."""

TRUST: Final = (0.0, 0.3, 3.0)
"""How far expected durations are believed when parts grow."""

TAILS: Final = 12
"""How many sets of random durations candidates are judged by, besides the expected ones."""
TAIL: Final = 1.1
"""The exponent of their Pareto distribution: few packages take most of the time, as with compilers and LLVM."""

WORTH: Final = 0.03
"""By what part of the time one more child pipeline has to shorten the worst case."""

ROOT: Final = "root"
"""The pipeline that triggers all parts, for the simulator."""


def partition(graph: Weighted, capacity: Capacity) -> Partition:
    """The best partition found, into hardly more parts than the capacity asks for. The same input gives the same parts.

    Raises `ValueError` when one node alone is over the capacity.
    """
    cut = list(dict.fromkeys(_candidates(graph, capacity)))
    fewest = min(len(candidate) for candidate in cut)
    fitting = [candidate for candidate in cut if len(candidate) == fewest]
    if fewest == 1:
        return fitting[0]
    fitting += _grown(graph, capacity, fewest)
    judge = _Judge(graph, fewest)
    best = sorted(dict.fromkeys(fitting), key=judge.unbounded)
    most, rest = (capacity.jobs, capacity.weight), remaining_times(graph.edges, graph.seconds)
    searched = [
        Search(parts, graph.edges, graph.seconds, graph.weights, most).run()
        for parts in best[: _effort(SEARCHED, graph.edges)]
    ]
    pool = [tuple(by_urgency(part, rest) for part in parts) for parts in dict.fromkeys([*searched, *best])]
    return min(sorted(pool, key=judge.unbounded)[: _effort(PLAYED, graph.edges)], key=judge.played)


def _grown(graph: Weighted, capacity: Capacity, fewest: int) -> list[Partition]:
    if len(graph.edges) > MOST_NODES:
        return []
    counts = sorted({2 * fewest - 1, fewest + 2, fewest + 1, fewest}, reverse=True)
    counts = [count for count in counts if count < 2 * fewest]
    return [parts for trust in TRUST for parts in grown(graph, capacity, counts, trust)]


class _Judge:
    """Times of partitions against the lower bound; of the expected and of other durations, the worse of the two counts.

    Of the random ones that is their quadratic mean, since the worst of few is a matter of luck.
    """

    def __init__(self, graph: Weighted, fewest: int) -> None:
        self.graph, self.fewest = graph, fewest
        self.order = topological_order(graph.edges)
        chance = Random(0)  # noqa: S311 - the same each time
        tails = [{node: chance.paretovariate(TAIL) for node in self.order} for _ in range(_effort(TAILS, graph.edges))]
        self.tails = [(seconds, lower_bound(graph.edges, seconds, len(self.order))) for seconds in tails]
        self.bounds = {runners: lower_bound(graph.edges, graph.seconds, runners) for runners in RUNNERS}
        self._others: dict[frozenset[frozenset[str]], float] = {}

    def unbounded(self, parts: Partition) -> float:
        """With any number of runners, which needs no simulation."""
        expected = self._makespan(parts, self.graph.seconds) / self.bounds[max(RUNNERS)]
        return max(expected, self._other(parts)) * self._price(parts)

    def played(self, parts: Partition) -> float:
        """With the expected durations for the number of runners where it is worst."""
        simulation = lay_out(running(parts, self.graph.edges, self.graph.seconds), ROOT)
        expected = max(simulation.run(runners).makespan / bound for runners, bound in self.bounds.items())
        return max(expected, self._other(parts)) * self._price(parts)

    def _price(self, parts: Partition) -> float:
        return 1 + WORTH * (len(parts) - self.fewest)

    def _other(self, parts: Partition) -> float:
        key = frozenset(map(frozenset, parts))
        if key not in self._others:
            squares = [(self._makespan(parts, seconds) / bound) ** 2 for seconds, bound in self.tails]
            self._others[key] = math.sqrt(math.fsum(squares) / len(squares))
        return self._others[key]

    def _makespan(self, parts: Partition, seconds: Mapping[str, float]) -> float:
        part_of = {node: index for index, nodes in enumerate(parts) for node in nodes}
        inside: list[list[str]] = [[] for _ in parts]
        for node in self.order:
            inside[part_of[node]].append(node)
        ends: list[float] = []
        done: dict[str, float] = {}
        for nodes, before in zip(inside, part_dependencies(parts, self.graph.edges), strict=True):
            begin = max((ends[other] for other in before), default=0.0)
            index = len(ends)
            for node in nodes:
                own = (done[other] for other in self.graph.edges[node] if part_of[other] == index)
                done[node] = max(own, default=begin) + seconds[node]
            ends.append(max((done[node] for node in nodes), default=begin))
        return max(ends)


def _effort(number: int, edges: Edges) -> int:
    """Less of everything that is tried for large graphs, which take longer each time and have more ways to be good."""
    return max(1, min(number, number * SMALL // len(edges)))


def lower_bound(edges: Edges, seconds: Mapping[str, float], runners: int) -> float:
    """No schedule is shorter than this: the critical path, and the work divided by the runners, in seconds."""
    critical = max(finish_times(edges, seconds).values(), default=0.0)
    return max(critical, sum(seconds[node] for node in edges) / runners)


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


def running(parts: Partition, edges: Edges, seconds: Mapping[str, float]) -> dict[str, RunningPipeline]:
    """A partition as the simulator plays it: a pipeline for each part, and `ROOT`, which triggers them in order."""
    pipelines: dict[str, RunningPipeline] = {}
    triggers: list[RunningJob] = []
    for index, (nodes, before) in enumerate(zip(parts, part_dependencies(parts, edges), strict=True)):
        inside, child = set(nodes), f"part {index}"
        jobs = tuple(_job(node, tuple(sorted(edges[node] & inside)), seconds[node]) for node in nodes)
        pipelines[child] = RunningPipeline(child, 1, jobs)
        waited = tuple(f"part {other}" for other in sorted(before))
        triggers.append(RunningJob(child, (child,), 0, waited, 0.0, child, waits=True))
    return {ROOT: RunningPipeline(ROOT, 1, tuple(triggers)), **pipelines}


def _job(name: str, needs: tuple[str, ...], seconds: float) -> RunningJob:
    return RunningJob(name, (name,), 0, needs, seconds, None, waits=False)


def _candidates(graph: Weighted, capacity: Capacity) -> Iterator[Partition]:
    rest = remaining_times(graph.edges, graph.seconds)
    yielded = False
    for order in orders(graph.edges, graph.seconds, rest):
        for cuts in best_cuts(order, graph, capacity):
            yielded = True
            parts = [order[start:end] for start, end in zip((0, *cuts), cuts, strict=False)]
            yield tuple(by_urgency(part, rest) for part in parts)
    if not yielded:
        raise ValueError("one job alone is over the capacity of a part")
