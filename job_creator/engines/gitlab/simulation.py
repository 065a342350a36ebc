"""Plays a tree of generated pipelines in virtual time, as GitLab would: how long does it take with so many runners?

`prepare` reads the documents once; `Simulation.run` then plays them for any number of runners. Every job succeeds.
Sources: GitLab docs, "CI/CD YAML syntax reference" (`needs`, `stages`, `trigger`, `parallel`, `rules`) and "Downstream
pipelines".

What is not played: runner tags (all runners take all jobs), `resource_group`, `start_in`, `needs:parallel` (all copies
are waited for), conditions of rules (a job runs if any of its rules could make it run), and top-level `include`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import pairwise, product
from operator import itemgetter
from typing import Any, Final

from job_creator.engines.gitlab.running_pipelines import (
    RunningJob,
    RunningPipeline,
    Seconds,
    SimulationError,
    read_pipeline,
)

__all__ = ["MAX_CHILD_DEPTH", "Played", "Seconds", "Simulation", "SimulationError", "Timeline", "prepare"]

MAX_CHILD_DEPTH: Final = 2
"""Levels of child pipelines below the root."""


@dataclass(frozen=True, slots=True)
class Played:
    """When a job ran, in seconds from the start of the root pipeline.

    `pipeline` is the path of its file. Copies of parallel jobs have GitLab's names (`a 1/2`, `a: [x, y]`). A trigger
    job starts when it creates its child; with a strategy it finishes with it.
    """

    pipeline: str
    job: str
    start: float
    finish: float


@dataclass(frozen=True, slots=True)
class Timeline:
    """What happened when: runner jobs and trigger jobs by start and then by id, all figures in seconds.

    `makespan` is when the last pipeline of the tree ended, and `busy` the sum over all runners of what they worked.
    """

    makespan: float
    jobs: tuple[Played, ...]
    busy: float


@dataclass(frozen=True, slots=True)
class Simulation:
    """A tree of pipelines, ready to be played; made by `prepare`."""

    _net: _Net

    def run(self, runners: int) -> Timeline:
        """Play all pipelines with that many runners, each of which works on one job at a time.

        Runners take the pending job with the lowest id. Raises `SimulationError` for less than one runner, and where
        jobs are left that nothing starts.
        """
        if runners < 1:
            raise SimulationError(f"{self._net.root}: needs at least one runner, not {runners}")
        return _Play(self._net).through(runners)


def prepare(documents: Mapping[str, Mapping[str, Any]], root: str, seconds: Seconds) -> Simulation:
    """Read a tree of pipelines.

    `documents` are parsed pipeline files by the path that triggers name (`trigger:include`, an artifact or a local
    file), `root` is the path of the first. `seconds` is asked once for every job that runs and is not a trigger.
    Raises `SimulationError`, naming pipeline and job, for what GitLab would refuse.
    """
    read: dict[str, RunningPipeline] = {}

    def pipeline(path: str) -> RunningPipeline | None:
        if path not in read and path in documents:
            read[path] = read_pipeline(path, documents[path], seconds)
        return read.get(path)

    return Simulation(_Builder(pipeline).net(root))


def lay_out(pipelines: Mapping[str, RunningPipeline], root: str) -> Simulation:
    """The same for pipelines that are values, and never were documents. Raises `SimulationError`."""
    return Simulation(_Builder(pipelines.get).net(root))


_GATE: Final = -1
"""`opens` of a node that takes no time: the end of a stage, of a pipeline or of a trigger job."""
_WORK: Final = -2
"""`opens` of a node that takes a runner."""


@dataclass(slots=True)
class _Node:
    """Something that is done once all that it waits for is done and, for a job, once a runner has worked on it.

    `opens` is the number of the pipeline that a node creates, or `_GATE` or `_WORK`. A job's id is its `position` in
    its pipeline (`owner`) after all jobs of the pipelines that were created before.
    """

    opens: int
    owner: int = 0
    position: int = 0
    seconds: float = 0.0
    waiting: int = 0
    """How many nodes must be done before."""
    dependents: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Show:
    """A job to be shown: it starts with one node and finishes with another (the same for runner jobs)."""

    pipeline: str
    job: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class _Net:
    """The whole tree as one graph of numbered nodes; node 0 creates pipeline 0, the root."""

    root: str
    nodes: tuple[_Node, ...]
    sizes: tuple[int, ...]
    """How many jobs each pipeline has."""
    shown: tuple[_Show, ...]
    busy: float


class _Builder:
    """Lays the tree out as a net; a file that several jobs trigger is read once, and laid out for each of them."""

    def __init__(self, pipeline: Callable[[str], RunningPipeline | None]) -> None:
        self._pipeline = pipeline
        self._nodes: list[_Node] = []
        self._sizes: list[int] = []
        self._shown: list[_Show] = []

    def net(self, root: str) -> _Net:
        first = self._pipeline(root)
        if first is None:
            raise SimulationError(f"{root}: is not among the pipelines")
        self._grow(first, self._open(0, 0), 0)
        busy = math.fsum(node.seconds for node in self._nodes)
        return _Net(root, tuple(self._nodes), tuple(self._sizes), tuple(self._shown), busy)

    def _add(self, node: _Node) -> int:
        self._nodes.append(node)
        return len(self._nodes) - 1

    def _open(self, owner: int, position: int) -> int:
        self._sizes.append(0)
        return self._add(_Node(len(self._sizes) - 1, owner, position))

    def _edge(self, before: int, after: int) -> None:
        self._nodes[before].dependents.append(after)
        self._nodes[after].waiting += 1

    def _grow(self, pipeline: RunningPipeline, created: int, depth: int) -> int:
        """Add a pipeline; answers the node with which it ends."""
        number = self._nodes[created].opens
        gates = [created, *(self._add(_Node(_GATE)) for _ in range(pipeline.stages))]
        for before, after in pairwise(gates):
            self._edge(before, after)
        placed = [(job, self._place(pipeline, job, number, depth)) for job in pipeline.jobs]
        ends: dict[str, list[int]] = {}
        for job, shows in placed:
            ends.update({show.job: [show.last] for show in shows})
            ends[job.name] = [show.last for show in shows]
            for show in shows:
                self._edge(show.last, gates[job.stage + 1])
        for job, shows in placed:
            needed = [end for need in job.needs or () for end in ends[need]]
            before_all = [gates[job.stage]] if job.needs is None else needed or [created]
            for before, show in product(before_all, shows):
                self._edge(before, show.first)
        return gates[-1]

    def _place(self, pipeline: RunningPipeline, job: RunningJob, number: int, depth: int) -> list[_Show]:
        """Add the copies of a job, and the children that they trigger."""
        shows: list[_Show] = []
        for copy in job.copies:
            position = self._sizes[number]
            self._sizes[number] += 1
            if job.child is None:
                first = last = self._add(_Node(_WORK, number, position, job.seconds))
            else:
                child = self._child(pipeline, job, job.child, depth)
                first = self._open(number, position)
                last = self._add(_Node(_GATE))
                end = self._grow(child, first, depth + 1)
                self._edge(end if job.waits else first, last)
            shows.append(_Show(pipeline.path, copy, first, last))
        self._shown += shows
        return shows

    def _child(self, pipeline: RunningPipeline, job: RunningJob, child: str, depth: int) -> RunningPipeline:
        place = f"{pipeline.path}: {job.name}"
        if depth >= MAX_CHILD_DEPTH:
            raise SimulationError(f"{place}: child pipelines go {MAX_CHILD_DEPTH} levels deep at most")
        found = self._pipeline(child)
        if found is None:
            raise SimulationError(f"{place}: triggers {child!r}, which is not among the pipelines")
        return found


class _Play:
    """One run through a net: what is done, and what waits for its turn."""

    def __init__(self, net: _Net) -> None:
        self._net = net
        self._now = 0.0
        self._waiting = [node.waiting for node in net.nodes]
        self._begun: list[float | None] = [None] * len(net.nodes)
        self._done: list[float | None] = [None] * len(net.nodes)
        self._first_id = [0] * len(net.sizes)
        self._next_id = 0
        self._pending: list[tuple[int, int]] = []
        """Jobs that a runner may take, by id."""
        self._creating: list[tuple[int, int]] = [(0, 0)]
        """Nodes that are about to create a pipeline, by the id of the trigger job."""

    def through(self, runners: int) -> Timeline:
        working: list[tuple[float, int, int]] = []
        self._settle([])
        while self._pending or working:
            while self._pending and len(working) < runners:
                number, node = heappop(self._pending)
                self._begun[node] = self._now
                heappush(working, (self._now + self._net.nodes[node].seconds, number, node))
            self._now = working[0][0]
            ended: list[int] = []
            while working and working[0][0] == self._now:
                ended.append(heappop(working)[2])
            self._settle(ended)
        return self._timeline()

    def _settle(self, done: list[int]) -> None:
        """Everything that follows at once from nodes that are done."""
        nodes, waiting = self._net.nodes, self._waiting
        while done or self._creating:
            # Children get their ids in the order of their trigger jobs, not in that of this loop.
            node = done.pop() if done else self._create()
            self._done[node] = self._now
            for dependent in nodes[node].dependents:
                waiting[dependent] -= 1
                if waiting[dependent] == 0:
                    self._arrive(dependent, done)

    def _arrive(self, number: int, done: list[int]) -> None:
        node = self._net.nodes[number]
        if node.opens == _GATE:
            done.append(number)
        else:
            queue = self._pending if node.opens == _WORK else self._creating
            heappush(queue, (self._id(node), number))

    def _create(self) -> int:
        _, number = heappop(self._creating)
        pipeline = self._net.nodes[number].opens
        self._begun[number] = self._now
        self._first_id[pipeline] = self._next_id
        self._next_id += self._net.sizes[pipeline]
        return number

    def _id(self, node: _Node) -> int:
        return self._first_id[node.owner] + node.position

    def _timeline(self) -> Timeline:
        jobs: list[tuple[float, int, Played]] = []
        for show in self._net.shown:
            start, finish = self._begun[show.first], self._done[show.last]
            if start is None or finish is None:
                raise SimulationError(f"{show.pipeline}: {show.job}: never ends; it waits for what nothing starts")
            number = self._id(self._net.nodes[show.first])
            jobs.append((start, number, Played(show.pipeline, show.job, start, finish)))
        jobs.sort(key=itemgetter(0, 1))
        played = tuple(job for _, _, job in jobs)
        return Timeline(max((job.finish for job in played), default=0.0), played, self._net.busy)
