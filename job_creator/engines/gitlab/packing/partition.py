"""Laying out a build graph that is too large for one pipeline: in a root and few children, so that it ends early.

A child begins when all is done that any of its packages needs outside of it, and what needs one of its packages waits
for the whole child. So the layout decides how long jobs wait for jobs that they do not need. Candidates are clusters
that grow from single packages (`clusters`), each moved about by a local search (`search`); of graphs that are too large
for that, orders between "as soon as possible" and "as late as possible", cut where the sum of the longest chains is
least (`cuts`), of which the root takes one part.

How long packages take is a guess. So candidates are judged by random durations as well, and the one that is best where
it is worst is taken.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import product
from random import Random
from typing import Final

from foundation.graph import Edges, finish_times, remaining_times
from job_creator.engines.gitlab.packing.clusters import MOST_NODES, grown, tidied
from job_creator.engines.gitlab.packing.cuts import SMALL, best_cuts
from job_creator.engines.gitlab.packing.layout import ROOT, Capacity, Parts, PipelineLayout, Room, Weighted, laid_out
from job_creator.engines.gitlab.packing.orders import orders
from job_creator.engines.gitlab.packing.search import Search
from job_creator.engines.gitlab.simulation import lay_out

RUNNERS: Final = (10, 40, 100, 1000)
"""Sizes of runner fleets that a layout is judged by."""

STARTS: Final = (1.0, 0.3)
"""How much of the root clusters leave to single packages; the search fills the rest."""

TRUST: Final = (0.0, 1.0)
"""What the expected seconds of a package of usual length count, where clusters grow and in a search, against 1 for the
package itself."""

SHORT: Final = 5
LONG: Final = 40
"""Moves for each node that are tried in the searches from all starts, and in that from the best of them."""
WORSE: Final = 1.02
"""With any number of runners, a layout with fewer children may take longer by this factor. With few runners it is luck
which of two takes longer."""
PASSED: Final = 600_000
"""Nodes and edges that may be passed over for each of these, so that large graphs do not take long."""

ORDERS: Final = 16
FEWER_ORDERS: Final = 4
"""Orders that are cut, and how many of large graphs."""

PLAYED: Final = 2
"""Layouts of large graphs that are played with few runners: those that are best with any number of them."""

TAILS: Final = 40
"""How many sets of random durations candidates are judged by, besides the expected ones."""
TAIL: Final = 1.1
"""The exponent of their Pareto distribution: few packages take most of the time, as with compilers and LLVM."""


def partition(graph: Weighted, room: Room) -> PipelineLayout:
    """The best layout found. The same input gives the same one. Raises `ValueError` when one node alone is too much."""
    judge = _Judge(graph)
    found = [(_searched(graph, room, start, SHORT), start[1]) for start in _starts(graph, room)]
    if not found:
        return judge.best(sorted(_cut(graph, room, judge), key=judge.unbounded)[:PLAYED])
    best, trust = min(found, key=lambda one: judge.played(one[0]))
    longer = _searched(graph, room, (_clusters(best), trust), LONG)
    # What a search, or having fewer children, makes better by its own measure may be worse when it is played.
    tidy = judge.best([longer, _laid_out(graph, tidied(graph, room, _clusters(best)))])
    return tidy if judge.unbounded(tidy) <= WORSE * judge.unbounded(best) else best


def sketched(graph: Weighted, room: Room) -> PipelineLayout:
    """A layout that was hardly searched for, to see what fits. Raises `ValueError`."""
    start = next(_starts(graph, room), None)
    if start is not None:
        return _searched(graph, room, start, 1)
    parts = next(_cut_orders(graph, room.child, 1), None)
    if parts is None:
        raise ValueError("one job alone is over the capacity of a pipeline")
    return laid_out(graph, (), parts)


def _starts(graph: Weighted, room: Room) -> Iterator[tuple[list[list[str]], float]]:
    """Clusters to begin a search with, and how far it is to believe what is expected."""
    if len(graph.edges) > MOST_NODES:
        return
    for share, grows_by in product(STARTS, TRUST):
        smaller = Capacity(math.ceil(room.root.jobs * share), math.ceil(room.root.weight * share))
        clusters = grown(graph, replace(room, root=smaller), grows_by)
        if clusters is not None:
            yield from ((clusters, trust) for trust in TRUST if trust >= grows_by)


def _searched(graph: Weighted, room: Room, start: tuple[list[list[str]], float], effort: int) -> PipelineLayout:
    clusters, trust = start
    usual = sum(graph.seconds.values()) / len(graph.seconds)
    seconds = {node: 1 + trust * taken / usual for node, taken in graph.seconds.items()}
    size = len(graph.edges) + sum(map(len, graph.edges.values()))
    found = Search(graph, clusters, room, seconds).run(effort * min(len(graph.edges), PASSED // size))
    if effort != SHORT:
        found = tidied(graph, room, found)
    return _laid_out(graph, found)


def _laid_out(graph: Weighted, clusters: list[list[str]]) -> PipelineLayout:
    """Clusters of one node are jobs of the root, all others are children."""
    root = [nodes[0] for nodes in clusters if len(nodes) == 1]
    return laid_out(graph, root, (nodes for nodes in clusters if len(nodes) > 1))


def _clusters(layout: PipelineLayout) -> list[list[str]]:
    return [*([node] for node in layout.root), *map(list, layout.parts)]


def _cut(graph: Weighted, room: Room, judge: _Judge) -> Iterator[PipelineLayout]:
    """The best cut of some orders, and what becomes of it where the root takes one of its parts."""
    found = list(_cut_orders(graph, room.child, ORDERS if len(graph.edges) <= MOST_NODES else FEWER_ORDERS))
    if not found:
        raise ValueError("one job alone is over the capacity of a pipeline")
    fewest = min(map(len, found))
    some = [PipelineLayout(graph.edges, (), parts, graph.order) for parts in found if len(parts) == fewest]
    best = laid_out(graph, (), min(some, key=judge.unbounded).parts)
    yield best
    for part in best.parts:
        weight = sum(graph.weights[node] for node in part)
        if len(part) <= room.root.jobs and weight <= room.root.weight:
            yield laid_out(graph, part, (other for other in best.parts if other is not part))


def _cut_orders(graph: Weighted, capacity: Capacity, number: int) -> Iterator[Parts]:
    """So many orders, cut into parts that fit."""
    rest = remaining_times(graph.edges, graph.seconds)
    every = tuple(orders(graph.edges, graph.seconds, rest))
    for order in every[:: math.ceil(len(every) / number)]:
        for cuts in best_cuts(order, graph, capacity):
            yield tuple(order[start:end] for start, end in zip((0, *cuts), cuts, strict=False))


class _Judge:
    """Times of layouts against the lower bound; of the expected and of other durations, the worse of the two counts.

    Of the random ones that is their quadratic mean, since the worst of few is a matter of luck.
    """

    def __init__(self, graph: Weighted) -> None:
        self.graph = graph
        nodes = graph.order
        chance = Random(0)  # noqa: S311 - the same each time
        tails = [{node: chance.paretovariate(TAIL) for node in nodes} for _ in range(_effort(TAILS, graph.edges))]
        self.tails = [(seconds, lower_bound(graph.edges, seconds, len(nodes))) for seconds in tails]
        self.bounds = {runners: lower_bound(graph.edges, graph.seconds, runners) for runners in RUNNERS}

    def best(self, layouts: list[PipelineLayout]) -> PipelineLayout:
        """The best one; the first of equal ones."""
        return min(layouts, key=self.played) if len(layouts) > 1 else layouts[0]

    def unbounded(self, layout: PipelineLayout) -> float:
        """With any number of runners, which needs no simulation."""
        return max(layout.makespan(self.graph.seconds) / self.bounds[max(RUNNERS)], self._other(layout))

    def played(self, layout: PipelineLayout) -> float:
        """With the expected durations for the number of runners where it is worst."""
        simulation = lay_out(layout.running(self.graph.seconds), ROOT)
        expected = max(simulation.run(runners).makespan / bound for runners, bound in self.bounds.items())
        return max(expected, self._other(layout))

    def _other(self, layout: PipelineLayout) -> float:
        squares = [(layout.makespan(seconds) / bound) ** 2 for seconds, bound in self.tails]
        return math.sqrt(math.fsum(squares) / len(squares))


def _effort(number: int, edges: Edges) -> int:
    """Less of everything that is tried for large graphs, which take longer each time and have more ways to be good."""
    return max(1, min(number, number * SMALL // len(edges)))


def lower_bound(edges: Edges, seconds: Mapping[str, float], runners: int) -> float:
    """No schedule is shorter than this: the critical path, and the work divided by the runners, in seconds."""
    critical = max(finish_times(edges, seconds).values(), default=0.0)
    return max(critical, sum(seconds[node] for node in edges) / runners)
