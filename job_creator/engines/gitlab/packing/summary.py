"""What became of the packages, in words and numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from foundation.graph import critical_path
from foundation.shown import shown_duration
from job_creator.engines.gitlab.objects import expand
from job_creator.engines.gitlab.packing.partition import lower_bound
from job_creator.engines.gitlab.packing.pipelines import Packed
from job_creator.engines.gitlab.simulation import prepare

RUNNERS: Final = (10, 40, 100)


@dataclass(frozen=True, slots=True)
class PipelineSummary:
    """One of the pipelines that were written."""

    file: str
    packages: int
    jobs: int
    parsed_size: int
    """Bytes as GitLab counts them, with the safety that is held against the limit."""
    limit: int


@dataclass(frozen=True, slots=True)
class Makespan:
    """How long everything is expected to take with so many runners, and what it takes at least, in seconds."""

    runners: int
    seconds: float
    at_least: float


@dataclass(frozen=True, slots=True)
class Summary:
    """What `jc process-spack-pipeline` did."""

    jobs_read: int
    to_build: int
    package_jobs: int
    """Jobs that build packages; several packages may share one."""
    runner_seconds: float
    """What all package jobs are expected to take together."""
    runner_seconds_apart: float
    """What they would take if each package had a job of its own."""
    unmeasured: int
    """Packages of which nobody said how long they take, where that decides which of them share jobs."""
    up_to_date: int
    restored_edges: int
    pipelines: tuple[PipelineSummary, ...]
    critical_path: tuple[str, ...]
    makespans: tuple[Makespan, ...]
    nothing_to_build: tuple[str, ...]
    """Containers whose packages are all in the build cache."""
    unlocked: tuple[str, ...]
    """Containers without a lockfile; the order of their jobs is Spack's alone."""
    unphased: tuple[str, ...]
    """Containers whose spec groups are no phases, since those of others are in another order."""
    services: tuple[str, ...]
    """Jobs of Spack's that build nothing, kept as they are."""
    failed: Mapping[str, str]
    """Containers that are left out, and why."""

    def as_value(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    def lines(self) -> Iterator[str]:
        """For people."""
        yield (
            f"{self.jobs_read} jobs read, {self.to_build} packages to build after merging, {self.up_to_date} up to date"
        )
        if self.restored_edges:
            yield f"{self.restored_edges} orderings restored that Spack had lost across packages which are up to date"
        yield from self._of_fusion()
        for pipeline in self.pipelines:
            share = pipeline.parsed_size / pipeline.limit
            yield f"{pipeline.file}: {pipeline.packages} packages, {pipeline.jobs} jobs, {share:.0%} of the size limit"
        if self.critical_path:
            yield f"critical path: {' -> '.join(self.critical_path)}"
        for makespan in self.makespans:
            least = f"at least {shown_duration(makespan.at_least)}"
            yield f"with {makespan.runners} runners: {shown_duration(makespan.seconds)} expected, {least}"
        if self.nothing_to_build:
            yield f"nothing to build for {', '.join(self.nothing_to_build)}"
        if self.unlocked:
            yield f"no lockfile beside {', '.join(self.unlocked)}: the order of their jobs is Spack's alone"
        if self.unphased:
            who = ", ".join(self.unphased)
            yield f"the groups of {who} do not wait for each other: other containers have them in another order"
        if self.services:
            yield f"kept as Spack wrote them: {', '.join(self.services)}"
        for container, reason in self.failed.items():
            yield f"left out: {container}: {reason}"

    def _of_fusion(self) -> Iterator[str]:
        if self.package_jobs < self.to_build:
            less, more = shown_duration(self.runner_seconds), shown_duration(self.runner_seconds_apart)
            yield f"packages share {self.package_jobs} jobs: {less} of runners expected, {more} without that"
        if self.unmeasured:
            guessed = f"how long {self.unmeasured} of {self.to_build} packages take is a guess"
            yield f"{guessed}, so that fewer of them share jobs; '--durations' takes what was measured"


def summarize(packed: Packed, service: float, failed: Mapping[str, str]) -> Summary:
    """Sum up what was packed; `service` is the expected duration, in seconds, of jobs that build no package."""
    work, merged = packed.work, packed.work.merged
    return Summary(
        jobs_read=merged.steps_read,
        to_build=len(merged.steps),
        package_jobs=len(work.groups),
        runner_seconds=sum(work.seconds.values()),
        runner_seconds_apart=sum(merged.seconds.values()),
        unmeasured=work.unmeasured,
        up_to_date=merged.up_to_date,
        restored_edges=len(merged.restored),
        pipelines=tuple(_pipelines(packed)),
        critical_path=tuple(merged.steps[key].named for key in critical_path(merged.edges, merged.seconds)),
        makespans=tuple(_makespans(packed, service)) if merged.steps else (),
        nothing_to_build=tuple(one.environment for one in merged.environments if not one.steps),
        unlocked=merged.unlocked,
        unphased=merged.unphased,
        services=packed.services,
        failed=dict(sorted(failed.items())),
    )


def _pipelines(packed: Packed) -> Iterator[PipelineSummary]:
    for file in packed.files:
        size = next(room for room in file.limits.headroom if room.name.startswith("parsed size"))
        jobs = len(expand(file.document))
        yield PipelineSummary(file.name, file.packages, jobs, size.used, size.limit)


def _makespans(packed: Packed, service: float) -> Iterator[Makespan]:
    root, work = packed.files[0], packed.work
    seconds = {name: work.seconds[key] for name, key in work.built_by.items()}
    simulation = prepare(files_by_path(packed), root.name, lambda name, _: seconds.get(name, service))
    for runners in RUNNERS:
        yield Makespan(runners, simulation.run(runners).makespan, lower_bound(work.edges, work.seconds, runners))


def files_by_path(packed: Packed) -> dict[str, Mapping[str, Any]]:
    """The documents by the paths that triggers name; the root by its own file name."""
    root, *children = packed.files
    paths = [
        str(include["artifact"])
        for job in expand(root.document).values()
        if "trigger" in job
        for include in job["trigger"]["include"]
    ]
    by_name = {path.rpartition("/")[2]: path for path in paths}
    return {root.name: root.document, **{by_name[child.name]: child.document for child in children}}
