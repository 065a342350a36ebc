"""Who works on what and when: jobs over runners, as the simulator plays them or as records tell it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from typing import Final

from foundation.graph import Edges
from job_creator.builds.scheduling import urgency
from job_creator.engines.gitlab.running_pipelines import RunningJob, RunningPipeline
from job_creator.engines.gitlab.simulation import lay_out

_STEPS: Final = "packages"
"""The one pipeline of packages that no pipeline was generated for."""


@dataclass(frozen=True, slots=True)
class PlayedJob:
    """A job, and the runner that it is on."""

    name: str
    lane: int
    """The number of the runner, from 0."""
    start: float
    finish: float
    packages: tuple[str, ...] = ()
    """DAG hashes of what it builds; none for jobs that only serve others."""
    is_critical: bool = False
    """Whether one of them is part of the longest chain."""
    is_failed: bool = False
    """Whether one of them failed."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """All jobs, by their start."""

    basis: str
    """Where this comes from: `expected with 40 runners`, `as it was`."""
    seconds: float
    """From the start of the first to the end of the last."""
    bars: tuple[PlayedJob, ...]
    runners: tuple[str, ...] = ()
    """The names of the runners, where they have some."""

    @property
    def lanes(self) -> int:
        """How many runners have work at any time."""
        return max((bar.lane for bar in self.bars), default=-1) + 1

    def concurrency(self) -> list[tuple[float, int]]:
        """How many jobs run, each number with the second from which on it holds."""
        changes: dict[float, int] = {}
        for bar in self.bars:
            changes[bar.start] = changes.get(bar.start, 0) + 1
            changes[bar.finish] = changes.get(bar.finish, 0) - 1
        found: list[tuple[float, int]] = []
        running = 0
        for when in sorted(changes):
            running += changes[when]
            if changes[when]:
                found.append((when, running))
        return found

    def parts(self, count: int) -> Iterator[tuple[float, float, float]]:
        """So many equal parts of the time: start, end, and how many jobs run on average."""
        length = self.seconds / count
        for index in range(count if length else 0):
            start, end = index * length, (index + 1) * length
            busy = sum(max(0.0, min(end, bar.finish) - max(start, bar.start)) for bar in self.bars)
            yield start, end, busy / length


@dataclass(frozen=True)
class PipelineTree:
    """Pipelines with their children, as the simulator plays them, and what their jobs build."""

    pipelines: Mapping[str, RunningPipeline]
    root: str
    builds: Mapping[str, tuple[str, ...]]
    """DAG hashes of the packages of each job, by its name; other jobs are not named."""

    @property
    def packages(self) -> frozenset[str]:
        """DAG hashes of all that is built."""
        return frozenset(key for keys in self.builds.values() for key in keys)

    def quicker(self, package: str, seconds: float) -> PipelineTree:
        """The same with one package that takes so many seconds less."""
        jobs = {name for name, keys in self.builds.items() if package in keys}

        def changed(job: RunningJob) -> RunningJob:
            return replace(job, seconds=max(0.0, job.seconds - seconds)) if job.name in jobs else job

        pipelines = {path: replace(one, jobs=tuple(map(changed, one.jobs))) for path, one in self.pipelines.items()}
        return replace(self, pipelines=pipelines)

    def seconds(self, runners: int) -> float:
        """How long all of it takes."""
        return lay_out(self.pipelines, self.root).run(runners).makespan


def tree_of_steps(edges: Edges, seconds: Mapping[str, float]) -> PipelineTree:
    """A job for each package, in one pipeline, the most urgent first; their names are DAG hashes."""
    jobs = tuple(
        RunningJob(key, (key,), 0, tuple(sorted(edges[key])), seconds[key], None, waits=False)
        for key in urgency(edges, seconds)
    )
    return PipelineTree({_STEPS: RunningPipeline(_STEPS, 1, jobs)}, _STEPS, {key: (key,) for key in edges})


def planned_schedule(tree: PipelineTree, runners: int, critical: Collection[str]) -> Schedule:
    """How the simulator plays pipelines with so many runners. Raises `SimulationError`."""
    timeline = lay_out(tree.pipelines, tree.root).run(runners)
    triggers = {
        (path, copy)
        for path, pipeline in tree.pipelines.items()
        for job in pipeline.jobs
        if job.child is not None
        for copy in job.copies
    }
    jobs = [one for one in timeline.jobs if (one.pipeline, one.job) not in triggers]
    lanes = lanes_of([(one.start, one.finish) for one in jobs])
    bars = tuple(
        PlayedJob(one.job, lane, one.start, one.finish, keys, any(key in critical for key in keys))
        for one, lane in zip(jobs, lanes, strict=True)
        for keys in (tree.builds.get(one.job, ()),)
    )
    return Schedule(f"expected with {runners} runners", timeline.makespan, bars)


def lanes_of(spans: Sequence[tuple[float, float]]) -> list[int]:
    """For each span the lowest lane in which nothing else is at the same time; of those that start together, the first
    gets the lowest.
    """
    lanes = [0] * len(spans)
    free: list[int] = []
    busy: list[tuple[float, int]] = []
    for index in sorted(range(len(spans)), key=lambda place: spans[place][0]):
        start, finish = spans[index]
        while busy and busy[0][0] <= start:
            heappush(free, heappop(busy)[1])
        lanes[index] = heappop(free) if free else len(busy)
        heappush(busy, (finish, lanes[index]))
    return lanes


def named_lanes(workers: Iterable[str]) -> tuple[str, ...]:
    """The runners that records name, in the order in which they are shown: `node2` before `node10`."""
    return tuple(
        sorted(set(workers), key=lambda name: [int(part) if part.isdecimal() else part for part in _parts(name)])
    )


def _parts(name: str) -> list[str]:
    """Text and numbers in turn, always beginning with text."""
    found = [""]
    for letter in name:
        if letter.isdecimal() == (len(found) % 2 == 0):
            found[-1] += letter
        else:
            found.append(letter)
    return found
