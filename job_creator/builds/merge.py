"""One build graph over the pipelines of all containers: every spec once, in an order that loses no edge."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from foundation.errors import Fault, InvalidInputError
from foundation.graph import Edges, GraphError, between, not_implied, reduced, union
from job_creator.builds.generated import Generated, GeneratedJob
from job_creator.engines.gitlab.limits import MAX_NEEDED_NAME


@dataclass(frozen=True, slots=True)
class MergedJob:
    """A package to build, by the job that one container's Spack generated for it."""

    name: str
    """Unique, and short enough to be needed by others."""
    generated: GeneratedJob
    origin: Generated
    """The container whose concrete environment the job works in: of those that need it, the first by name."""


@dataclass(frozen=True, slots=True)
class Merged:
    """All packages of an architecture that have to be built, by DAG hash."""

    containers: tuple[Generated, ...]
    jobs: Mapping[str, MergedJob]
    edges: Edges
    """The fewest needs with the order of the lockfiles and of Spack's own needs."""
    restored: tuple[tuple[str, str], ...]
    """Edges of the lockfiles that Spack's needs had lost (spack#39656), as job and dependency."""
    unlocked: tuple[str, ...]
    """Containers without a lockfile, for which Spack's needs alone count."""

    @property
    def jobs_read(self) -> int:
        """How many jobs Spack generated, duplicates included."""
        return sum(len(container.jobs) for container in self.containers)

    @property
    def up_to_date(self) -> int:
        """How many specs of the lockfiles need no job, external ones aside."""
        packages = {key: package for one in self.containers if one.graph for key, package in one.graph.packages.items()}
        return sum(not package.is_external and key not in self.jobs for key, package in packages.items())


def merge(generated: Iterable[Generated]) -> Merged:
    """Merge the pipelines of all containers of an architecture; their order does not matter.

    Raises `InvalidInputError` when different lines of Spack wrote them, or when the needs go round in a circle.
    """
    containers = tuple(sorted(generated, key=lambda one: one.container))
    _require_one_line(containers)
    jobs: dict[str, MergedJob] = {}
    for container in containers:
        for job in container.jobs:
            if job.hash not in jobs:
                jobs[job.hash] = MergedJob(_name(job), job, container)
    needs = _needs(containers, jobs)
    locked = union(container.graph for container in containers if container.graph)
    try:
        known = between({**dict.fromkeys(jobs, frozenset()), **locked.edges}, jobs)
        edges = reduced({key: known[key] | needs[key] for key in sorted(jobs)})
        restored = not_implied(known, needs)
    except GraphError as error:
        circle = " -> ".join(jobs[key].name if key in jobs else key for key in error.circle)
        raise InvalidInputError([Fault(containers[0].path, 1, 1, f"packages depend on themselves: {circle}")]) from None
    unlocked = tuple(container.container for container in containers if container.jobs and not container.graph)
    return Merged(containers, {key: jobs[key] for key in sorted(jobs)}, edges, restored, unlocked)


def _needs(containers: Sequence[Generated], jobs: Mapping[str, MergedJob]) -> dict[str, frozenset[str]]:
    """What Spack let each job wait for, in any of the pipelines."""
    needs = dict.fromkeys(sorted(jobs), frozenset[str]())
    for container in containers:
        for job in container.jobs:
            needs[job.hash] |= job.needs
    return needs


def _require_one_line(containers: Sequence[Generated]) -> None:
    known = [container for container in containers if container.line]
    faults = [
        Fault(
            one.path,
            1,
            1,
            f"written by Spack {one.line}, but {known[0].path} by Spack {known[0].line}",
            "all containers of an architecture must come from one Spack; was the builder image exchanged meanwhile?",
        )
        for one in known
        if one.line != known[0].line
    ]
    if faults:
        raise InvalidInputError(faults)


def _name(job: GeneratedJob) -> str:
    """Spack's own name from 1.0 on, with the full hash, the version cut where it is too long."""
    start, end = f"{job.package}@{job.version}" if job.version else job.package, f" /{job.hash}"
    return start[: MAX_NEEDED_NAME - len(end)] + end
