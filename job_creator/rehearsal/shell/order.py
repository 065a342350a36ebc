"""Which jobs GitLab would start that gitlab-ci-local does not. Pure.

For gitlab-ci-local a job that was skipped is never over, so what waits for it never starts, not even with
`when: always`; and a failure skips everything after it, also what needs only a job that ran all the same. For GitLab a
skipped job is done, and only what a job itself needs counts.
Source: GitLab docs, "CI/CD YAML syntax reference" (`when`, `needs`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from job_creator.rehearsal.outcomes import SKIPPED, SUCCESS


@dataclass(frozen=True)
class PlannedJob:
    """A job with its rules evaluated. `needs` is `None` where it waits for the stages before."""

    name: str
    stage: str
    when: str
    needs: tuple[str, ...] | None = None


def still_to_start(jobs: Iterable[PlannedJob], stages: Sequence[str], ran: Mapping[str, str]) -> tuple[str, ...]:
    """The jobs that would start now, when those in `ran` have ended as it says, and nothing runs."""
    planned = [job for job in jobs if job.when in ("on_success", "always")]
    ended = dict(ran)
    while True:
        waiting = [job for job in planned if job.name not in ended]
        before = {job.name: _before(job, planned, stages) for job in waiting}
        free = [job for job in waiting if before[job.name] <= ended.keys()]
        ready = [
            job.name for job in free if job.when == "always" or all(ended[name] == SUCCESS for name in before[job.name])
        ]
        skipped = [job.name for job in free if job.name not in ready]
        if not skipped:
            return tuple(ready)
        ended |= dict.fromkeys(skipped, SKIPPED)


def _before(job: PlannedJob, planned: Sequence[PlannedJob], stages: Sequence[str]) -> set[str]:
    """The jobs of this pipeline that a job waits for."""
    if job.needs is not None:
        return set(job.needs) & {other.name for other in planned}
    position = {stage: index for index, stage in enumerate((".pre", *stages, ".post"))}
    return {other.name for other in planned if position[other.stage] < position[job.stage]}
