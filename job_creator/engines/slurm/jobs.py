"""What is said to Slurm and what it answers, as values. Pure.

Sources: the manual pages of sbatch and squeue, "JOB STATE CODES" and "JOB REASON CODES". What else stands here was seen
with Slurm 22.05.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

from job_creator.engines.engine import EndingKind, StepEnding
from job_creator.engines.scheduler import MARGIN_SECONDS, NewJob, ScheduledJob, Submission

_LAST: Final = {
    "COMPLETED": EndingKind.DONE,
    "FAILED": EndingKind.FAILED,
    "TIMEOUT": EndingKind.OUT_OF_TIME,
    "OUT_OF_MEMORY": EndingKind.OUT_OF_MEMORY,
    "CANCELLED": EndingKind.LOST,
    "BOOT_FAIL": EndingKind.LOST,
    "DEADLINE": EndingKind.LOST,
    "NODE_FAIL": EndingKind.LOST,
    "PREEMPTED": EndingKind.LOST,
    "REVOKED": EndingKind.LOST,
}
"""States after which nothing more comes. A job that is requeued is PENDING again."""
_NEVER: Final = "DependencyNeverSatisfied"
_HELD: Final = ("launch failed requeued held", "JobHeldAdmin")
"""A job that could not be started waits like this until somebody looks at it."""
_NO_ROOM: Final = ("MaxSubmit", "MaxJobs", "temporarily unable to accept job", "Job count limit")
"""Parts of messages of sbatch when there are too many jobs."""


class Slurm:
    """See `scheduler.Scheduler`."""

    name = "slurm"
    called = "Slurm"
    # Id, name, state, reason, comment; the last one may hold anything.
    listing: tuple[str, ...] = ("squeue", "--noheader", "--me", "--states=all", "--format=%i|%j|%T|%r|%k")

    def submission(self, job: NewJob) -> list[str]:
        """Without a secret: what the job sees comes from the environment of sbatch."""
        work = job.work
        dependency = [f"--dependency=afterok:{':'.join(job.after)}", "--kill-on-invalid-dep=yes"] if job.after else []
        return [
            "sbatch",
            "--parsable",
            f"--job-name={job.name}",
            f"--comment={job.run}",
            f"--output={work.log}",
            "--open-mode=append",
            "--requeue",
            # Ranks of a compile pool may be anywhere; what stands beside them is as many tasks as it has cores.
            *([f"--ntasks={work.cores + work.ranks}"] if work.ranks else ["--nodes=1", "--ntasks=1"]),
            f"--cpus-per-task={1 if work.ranks else work.cores}",
            f"--time={math.ceil((work.seconds + MARGIN_SECONDS) / 60)}",
            # Of an environment that has nothing else. With a list of names, Slurm starts a login shell for each job.
            "--export=ALL",
            *dependency,
            *job.options,
            job.script,
        ]

    def answer(self, code: int, said: Sequence[str]) -> Submission:
        """On a federation the name of the cluster follows the id; warnings may stand before it."""
        id_ = said[-1].partition(";")[0].strip() if said else ""
        if code == 0 and id_.isdecimal():
            return Submission(id_)
        return Submission(is_full=any(text in line for text in _NO_ROOM for line in said))

    def jobs(self, output: str) -> Iterator[ScheduledJob]:
        """A job a line; what else squeue says is passed over."""
        for line in output.splitlines():
            if line.count("|") >= 4:
                yield _job(*(word.strip() for word in line.split("|", 4)))

    def cancellation(self, ids: Sequence[str]) -> list[str]:
        """Jobs that have ended are left alone by it."""
        return ["scancel", *ids]

    def is_over(self, message: str) -> bool:
        """It does not complain of jobs that have ended."""
        return False


def _job(id_: str, name: str, state: str, reason: str, comment: str) -> ScheduledJob:
    told = f"{state}, {reason}" if reason not in ("", "None") else state
    kind = _LAST.get(state)
    if reason == _NEVER:
        kind = EndingKind.CANCELLED
    elif state == "PENDING" and reason in _HELD:
        kind = EndingKind.LOST
    ending = StepEnding(id_, kind, told) if kind else None
    return ScheduledJob(id_, name, comment, ending, is_stuck=ending is not None and state == "PENDING")
