"""Cutting a build graph into few child pipelines that finish early.

A child pipeline starts when all children that it depends on have ended, whole. So the cuts decide how long jobs wait
for jobs that they do not need. All partitions here are convex: their parts can be put in an order in which no part
depends on a later one, hence no two wait for each other.

Candidates come from a family of orders between "as soon as possible" and "as late as possible", each cut where the sum
of the longest chains of its parts is least (dynamic programming). The simulator says which of them is best.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from foundation.graph import Edges, finish_times, remaining_times
from job_creator.engines.gitlab.packing.cuts import SMALL, Capacity, Weighted, best_cuts
from job_creator.engines.gitlab.packing.orders import by_urgency, orders
from job_creator.engines.gitlab.packing.search import Search
from job_creator.engines.gitlab.running_pipelines import RunningJob, RunningPipeline
from job_creator.engines.gitlab.simulation import lay_out

Partition = tuple[tuple[str, ...], ...]
"""Nodes by part; a part depends on earlier parts only."""

RUNNERS: Final = (10, 40, 100, 1000)
"""Sizes of runner fleets that a partition is judged by."""

SEARCHED: Final = 16
"""How many of the best candidates are searched around."""

ROOT: Final = "root"
"""The pipeline that triggers all parts, for the simulator."""


def partition(graph: Weighted, capacity: Capacity) -> Partition:
    """The best partition found into as few parts as the capacity allows. The same input gives the same parts.

    Raises `ValueError` when one node alone is over the capacity.
    """
    candidates = list(dict.fromkeys(_candidates(graph, capacity)))
    fewest = min(len(candidate) for candidate in candidates)
    fitting = [candidate for candidate in candidates if len(candidate) == fewest]
    if fewest == 1:
        return fitting[0]
    most = (capacity.jobs, capacity.weight)
    searches = [Search(parts, graph.edges, graph.seconds, graph.weights, most) for parts in fitting]
    best = sorted(range(len(fitting)), key=lambda index: searches[index].makespan)[: _effort(SEARCHED, graph.edges)]
    rest = remaining_times(graph.edges, graph.seconds)
    improved = [tuple(by_urgency(part, rest) for part in searches[index].run()) for index in best]
    pool = dict.fromkeys([*improved, *(fitting[index] for index in best)])
    bounds = {runners: lower_bound(graph.edges, graph.seconds, runners) for runners in RUNNERS}
    return min(pool, key=lambda parts: _worst_ratio(parts, graph.edges, graph.seconds, bounds))


def _effort(number: int, edges: Edges) -> int:
    """Less of everything that is tried for large graphs, which take longer each time and have more ways to be good."""
    return max(1, min(number, number * SMALL // len(edges)))


def lower_bound(edges: Edges, seconds: Mapping[str, float], runners: int) -> float:
    """No schedule is shorter than this: the critical path, and the work divided by the runners, in seconds."""
    critical = max(finish_times(edges, seconds).values(), default=0.0)
    return max(critical, sum(seconds[node] for node in edges) / runners)


def _worst_ratio(parts: Partition, edges: Edges, seconds: Mapping[str, float], bounds: Mapping[int, float]) -> float:
    """The makespan of a partition against the lower bound, for the number of runners where it is worst."""
    simulation = lay_out(running(parts, edges, seconds), ROOT)
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
