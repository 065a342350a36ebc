"""How packages are laid out over pipelines: some as jobs of the root, all others in children that it triggers.

A job of the root waits for just what it needs, as all jobs do in one single pipeline: for other jobs of the root, and
for whole children. A child begins when all is done that any of its packages needs outside of it. So what stands in the
root is not cut at all, and children wait for single jobs, not for each other, where what they need stands there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from foundation.graph import Edges, reduced, topological_order
from job_creator.engines.gitlab.packing.orders import by_urgency
from job_creator.engines.gitlab.running_pipelines import RunningJob, RunningPipeline

ROOT: Final = "root"
"""The pipeline that triggers all children, for the simulator."""

Parts = tuple[tuple[str, ...], ...]
"""Nodes by child; a child depends on earlier ones only, also by way of the root."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """What a pipeline can hold: a number of jobs, and a sum of their weights (bytes of parsed size)."""

    jobs: int
    weight: int


@dataclass(frozen=True)
class Weighted:
    """A graph whose nodes take time and room: `seconds` and `weights` (bytes of parsed size) of each node."""

    edges: Edges
    seconds: Mapping[str, float]
    weights: Mapping[str, int]

    @cached_property
    def order(self) -> tuple[str, ...]:
        """All nodes, dependencies first. Raises `GraphError`."""
        return topological_order(self.edges)


@dataclass(frozen=True, slots=True)
class Room:
    """What fits into the root, besides its triggers, and into each child, and how many children there may be."""

    root: Capacity
    child: Capacity
    children: int


@dataclass(frozen=True)
class PipelineLayout:
    """Which nodes stand in the root, and which in each child, both in the order in which runners should take them.

    Jobs of the root and children are its entries. The key of an entry is its node, that of a child its first one.
    """

    edges: Edges
    root: tuple[str, ...]
    parts: Parts
    order: tuple[str, ...]
    """All nodes, dependencies first: the same for all layouts of a graph, of which many are tried."""

    @cached_property
    def entry_of(self) -> dict[str, str]:
        """The entry that each node belongs to."""
        return {**{node: node for node in self.root}, **{node: part[0] for part in self.parts for node in part}}

    @cached_property
    def waits(self) -> Edges:
        """The fewest entries that each entry waits for. Raises `GraphError` where they go round in a circle."""
        needs: dict[str, set[str]] = {key: set() for key in (*self.root, *(part[0] for part in self.parts))}
        for node, key in self.entry_of.items():
            needs[key].update(self.entry_of[other] for other in self.edges[node])
        return reduced({key: frozenset(found - {key}) for key, found in needs.items()})

    @cached_property
    def enforced(self) -> Edges:
        """The fewest edges with the order that these pipelines really keep."""
        users = {other for node, needs in self.edges.items() for other in needs if self._together(node, other)}
        last = {part[0]: frozenset(part) - users for part in self.parts}
        begins = {
            key: frozenset(one for other in needs for one in last.get(other, {other}))
            for key, needs in self.waits.items()
        }
        found: dict[str, frozenset[str]] = {}
        for node, needs in self.edges.items():
            inner = frozenset(other for other in needs if self._together(node, other))
            found[node] = inner or begins[self.entry_of[node]]
        return reduced(found)

    def _together(self, node: str, other: str) -> bool:
        return self.entry_of[node] == self.entry_of[other]

    def makespan(self, seconds: Mapping[str, float]) -> float:
        """When the last node is done with any number of runners, in seconds."""
        done: dict[str, float] = {}
        ends: dict[str, float] = {}
        for key, needs, nodes in self._timetable:
            begin = last = max((ends[other] for other in needs), default=0.0)
            for node, inner in nodes:
                end = done[node] = max((done[other] for other in inner), default=begin) + seconds[node]
                last = max(last, end)
            ends[key] = last
        return max(ends.values(), default=0.0)

    def remaining(self, seconds: Mapping[str, float]) -> dict[str, float]:
        """How long it takes from the start of each node until everything that waits for it is done, in seconds."""
        rest: dict[str, float] = {}
        after = dict.fromkeys(self.waits, 0.0)
        for key, needs, nodes in reversed(self._timetable):
            own = dict.fromkeys((node for node, _ in nodes), after[key])
            for node, inner in reversed(nodes):
                rest[node] = own[node] + seconds[node]
                for other in inner:
                    own[other] = max(own[other], rest[node])
            longest = max(rest[node] for node, _ in nodes)
            for other in needs:
                after[other] = max(after[other], longest)
        return rest

    @cached_property
    def _timetable(self) -> list[tuple[str, list[str], list[tuple[str, list[str]]]]]:
        """Each entry after those that it waits for, with its nodes and what they need of it, dependencies first."""
        inside: dict[str, list[tuple[str, list[str]]]] = {key: [] for key in self.waits}
        for node in self.order:
            inner = sorted(other for other in self.edges[node] if self._together(node, other))
            inside[self.entry_of[node]].append((node, inner))
        return [(key, sorted(self.waits[key]), inside[key]) for key in topological_order(self.waits)]

    def running(self, seconds: Mapping[str, float]) -> dict[str, RunningPipeline]:
        """The pipelines as the simulator plays them; `ROOT` is the first one."""
        names = {part[0]: f"child {index}" for index, part in enumerate(self.parts)}
        waited = {key: tuple(sorted(names.get(one, one) for one in needs)) for key, needs in self.waits.items()}
        jobs = [_job(node, waited[node], seconds[node]) for node in self.root]
        triggers = [RunningJob(name, (name,), 0, waited[key], 0.0, name, waits=True) for key, name in names.items()]
        pipelines = {ROOT: RunningPipeline(ROOT, 1, (*jobs, *triggers))}
        for part in self.parts:
            inside = set(part)
            inner = [(node, tuple(sorted(self.edges[node] & inside))) for node in part]
            own = tuple(_job(node, needs, seconds[node]) for node, needs in inner)
            pipelines[names[part[0]]] = RunningPipeline(names[part[0]], 1, own)
        return pipelines


def _job(name: str, needs: tuple[str, ...], seconds: float) -> RunningJob:
    return RunningJob(name, (name,), 0, needs, seconds, None, waits=False)


def laid_out(graph: Weighted, root: Iterable[str], parts: Iterable[Iterable[str]]) -> PipelineLayout:
    """A layout with children, and nodes in each pipeline, in the order of their urgency, in which they can run.

    Raises `GraphError` where children would wait for each other in a circle.
    """
    some = PipelineLayout(
        graph.edges, tuple(sorted(root)), tuple(tuple(sorted(part)) for part in parts if part), graph.order
    )
    # What a child keeps waiting counts as well.
    rest = some.remaining(graph.seconds)
    own = sorted((by_urgency(part, rest) for part in some.parts), key=lambda part: (-rest[part[0]], part[0]))
    return PipelineLayout(graph.edges, by_urgency(some.root, rest), tuple(own), graph.order)
