"""What is said to Slurm and what it answers, as values. Pure.

Sources: the manual pages of sbatch and squeue, "JOB STATE CODES" and "JOB REASON CODES". What else stands here was seen
with Slurm 22.05.
"""

from __future__ import annotations

import hashlib
import math
import shlex
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

from job_creator.engines.engine import CORES, EndingKind, StepEnding, StepWork

FORMAT: Final = "%i|%j|%T|%r|%k"
"""Of squeue: id, name, state, reason, comment."""
_MARGIN_SECONDS: Final = 300.0
"""More than a step's own time limit, so that it can still say itself what became of it."""
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
NO_ROOM: Final = ("MaxSubmit", "MaxJobs", "temporarily unable to accept job", "Job count limit")
"""Parts of messages of sbatch when there are too many jobs; so there will be room later."""


@dataclass(frozen=True, slots=True)
class SlurmJob:
    """A line of squeue."""

    id: str
    name: str
    state: str
    reason: str
    comment: str

    @property
    def ending(self) -> StepEnding | None:
        """How it ended; `None` as long as it may still do something by itself."""
        told = f"{self.state}, {self.reason}" if self.reason not in ("", "None") else self.state
        if self.reason == _NEVER:
            return StepEnding(self.id, EndingKind.CANCELLED, told)
        if self.state == "PENDING" and self.reason in _HELD:
            return StepEnding(self.id, EndingKind.LOST, told)
        kind = _LAST.get(self.state)
        return StepEnding(self.id, kind, told) if kind else None


def read_jobs(output: str) -> Iterator[SlurmJob]:
    """What squeue prints in `FORMAT`, the comment last, since it may hold anything."""
    for line in output.splitlines():
        if line.count("|") >= 4:
            yield SlurmJob(*(word.strip() for word in line.split("|", 4)))


def mark_of(mirror: str) -> str:
    """The start of the names of all jobs that fill a build cache, so that those of an earlier run are known."""
    return f"jc-{hashlib.sha256(mirror.encode()).hexdigest()[:8]}-"


def job_name(mirror: str, work: StepWork) -> str:
    """The name of the job of a step."""
    return f"{mark_of(mirror)}{work.step.hash[:7]}-{work.step.package}"


def script(work: StepWork) -> str:
    """The batch script of a step."""
    words = shlex.join(word.replace(CORES, str(work.cores)) for word in work.argv)
    return f"#!/bin/sh\nexec {words}\n"


def sbatch(work: StepWork, name: str, comment: str, after: Collection[str], options: Collection[str]) -> list[str]:
    """The command that submits a step, without its script."""
    dependency = [f"--dependency=afterok:{':'.join(after)}", "--kill-on-invalid-dep=yes"] if after else []
    return [
        "sbatch",
        "--parsable",
        f"--job-name={name}",
        f"--comment={comment}",
        f"--output={work.log}",
        "--open-mode=append",
        "--requeue",
        "--nodes=1",
        "--ntasks=1",
        f"--cpus-per-task={work.cores}",
        f"--time={math.ceil((work.seconds + _MARGIN_SECONDS) / 60)}",
        # Of an environment that has nothing else. With a list of names, Slurm starts a login shell for each job first.
        "--export=ALL",
        *dependency,
        *options,
    ]
