"""What the engines of schedulers have in common: a job for each step, submitted ahead with those that it waits for.

What is submitted goes on without the process that submitted it. Ids are never referred to after their jobs have ended:
Slurm takes `afterok` of a job that it has forgotten for satisfied, and gives ids anew after a crash. So a job counts as
ours by id and name, and steps look themselves whether what they need is in the build cache.
"""

from __future__ import annotations

import hashlib
import logging
import shlex
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from foundation.doors.files import write_files
from foundation.doors.processes import ProcessError, follow, run
from foundation.errors import CouldNotAskError
from job_creator.engines.engine import CORES, EndingKind, StepEnding, StepWork

MARGIN_SECONDS: Final = 300.0
"""How much longer a job may take than its step, so that the step can still say itself what became of it."""
_SECONDS: Final = 120.0
"""For an answer of a command; controllers may be busy."""
_SECONDS_BETWEEN_POLLS: Final = 2.0
_MOST_SECONDS_BETWEEN_POLLS: Final = 30.0
_PART_OF_QUIET: Final = 0.1
_PATIENCE: Final = 900.0
"""For how many seconds a scheduler may say nothing of its jobs, as when a controller is restarted."""
_JOBS_PER_COMMAND: Final = 500

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ScheduledJob:
    """A job as a scheduler tells of it."""

    id: str
    name: str
    run: str
    """The folder of the run that submitted it."""
    ending: StepEnding | None
    """How it ended; `None` as long as it may still do something by itself."""
    is_stuck: bool = False
    """Whether it is still there, and will do nothing until somebody ends it."""


@dataclass(frozen=True, slots=True)
class Submission:
    """What a scheduler says to a job that is given to it."""

    id: str = ""
    """Empty if it does not take it."""
    is_full: bool = False
    """It has too many jobs, so there will be room later."""
    is_never: str = ""
    """Why it never starts: something that it waits for has failed, or is forgotten."""


class Scheduler(Protocol):
    """What is said to a scheduler, and what its answers mean. Values, no effects."""

    name: str
    """Of its engine."""
    called: str
    """What people call it."""
    listing: tuple[str, ...]
    """The command that tells of all jobs of this user, also of those that have ended a while ago."""

    def submission(self, job: NewJob) -> list[str]:
        """The command that submits a job."""

    def answer(self, code: int, said: Sequence[str]) -> Submission:
        """What that command said, by its exit code and the lines that it printed."""

    def jobs(self, output: str) -> Iterator[ScheduledJob]:
        """What the command `listing` printed. Raises `ValueError` for anything else."""

    def cancellation(self, ids: Sequence[str]) -> list[str]:
        """The command that ends jobs."""

    def is_over(self, message: str) -> bool:
        """Whether all that a failed `cancellation` says is that jobs have ended by themselves."""


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job that is given to a scheduler."""

    work: StepWork
    name: str
    run: str
    """The folder of its run."""
    script: str
    """The file that it runs."""
    after: tuple[str, ...] = ()
    """Ids of the jobs that it waits for."""
    options: tuple[str, ...] = ()
    """More words for the command, as people gave them."""


class SchedulerEngine:
    """Runs steps as jobs, at most `most` of them known to the scheduler at once.

    `run` is the folder of the run, `options` are more words for each submission, such as `--partition=long`, and
    `variables` those that the command needs itself, such as `SLURM_CONF`.
    """

    holds_dependencies = True

    def __init__(
        self,
        scheduler: Scheduler,
        mirror: str,
        run: str,
        options: Sequence[str] = (),
        *,
        variables: Mapping[str, str] | None = None,
        most: int = 1000,
        pause: float = _SECONDS_BETWEEN_POLLS,
    ) -> None:
        self.name = scheduler.name
        self._scheduler, self._mirror, self._run, self._options = scheduler, mirror, run, tuple(options)
        self._most, self._pause, self._variables = most, pause, variables or {}
        self._open: dict[str, str] = {}
        """Names of jobs by id."""
        self._refused: list[StepEnding] = []
        self._answered = self._happened = self._next = time.monotonic()

    def room(self, waiting: int) -> int:
        """As many as the limit leaves."""
        return self._most - len(self._open)

    def submit(self, work: StepWork, after: Collection[str]) -> str:
        """Submit a step. Raises `CouldNotAskError` where the scheduler refuses it."""
        path = work.log.with_name("job.sh")
        write_files(path.parent, {path.name: script(work).encode()})
        job = NewJob(work, job_name(self._mirror, work), self._run, str(path), tuple(after), self._options)
        said: list[str] = []
        environment = {**work.environment, **self._variables}
        command = self._scheduler.submission(job)
        code = follow(command, said.append, folder=path.parent, environment=environment, seconds=_SECONDS)
        answer = self._scheduler.answer(code, said)
        if answer.is_full and self._open:
            self._most = len(self._open)
            logger.info("%s takes no more than %d jobs", self._scheduler.called, self._most)
            return ""
        if answer.is_never and after:
            id_ = f"refused-{work.step.hash}-{len(self._refused)}"
            self._refused.append(StepEnding(id_, EndingKind.CANCELLED, answer.is_never))
            return id_
        if not answer.id:
            raise CouldNotAskError(f"{self._scheduler.called} does not take the job of {work.step}: {' '.join(said)}")
        self._open[answer.id] = job.name
        self._happened = time.monotonic()
        return answer.id

    def poll(self, seconds: float) -> Iterator[StepEnding]:
        """What has ended."""
        until = time.monotonic() + seconds
        while True:
            now = time.monotonic()
            if now >= self._next or self._refused:
                found = list(self._ended())
                if found:
                    self._happened = self._next = now
                    yield from found
                    return
                self._next = now + self._pause_after(now - self._happened)
            if now >= until:
                return
            time.sleep(min(self._next, until) - now)

    def _pause_after(self, quiet: float) -> float:
        """Seconds until it is asked again when nothing has happened for so long: a tenth, so that it loses no more."""
        return max(self._pause, min(quiet * _PART_OF_QUIET, _MOST_SECONDS_BETWEEN_POLLS))

    def cancel(self, ids: Collection[str]) -> None:
        """End jobs. Raises `CouldNotAskError`."""
        cancel_jobs(self._scheduler, ids)

    def close(self) -> None:
        """Jobs go on without this process."""

    def _ended(self) -> Iterator[StepEnding]:
        try:
            jobs = {job.id: job for job in known_jobs(self._scheduler)}
        except CouldNotAskError as error:
            if time.monotonic() - self._answered > _PATIENCE:
                raise
            logger.info("%s", error)
            return
        self._answered = time.monotonic()
        for id_, name in list(self._open.items()):
            job = jobs.get(id_)
            if job is None or job.name != name:
                forgotten = f"{self._scheduler.called} has forgotten the job"
                ending: StepEnding | None = StepEnding(id_, EndingKind.LOST, forgotten)
            else:
                ending = job.ending
            if ending is not None:
                del self._open[id_]
                if job is not None and job.name == name and job.is_stuck:
                    self.cancel([id_])
                yield ending
        # What kept them from starting has ended before they were submitted, so it is among the others.
        yield from self._refused
        self._refused = []


def known_jobs(scheduler: Scheduler) -> Iterator[ScheduledJob]:
    """All jobs of this user that a scheduler knows. Raises `CouldNotAskError`."""
    try:
        yield from scheduler.jobs(run(scheduler.listing, seconds=_SECONDS))
    except (ProcessError, ValueError) as error:
        raise CouldNotAskError(f"{scheduler.called} does not say what became of its jobs: {error}") from None


def jobs_at_work(scheduler: Scheduler, mirror: str) -> Iterator[ScheduledJob]:
    """The jobs of any run that fill a build cache, and have not ended. Raises `CouldNotAskError`."""
    mark = mark_of(mirror)
    yield from (job for job in known_jobs(scheduler) if job.name.startswith(mark) and job.ending is None)


def cancel_jobs(scheduler: Scheduler, ids: Collection[str]) -> None:
    """End jobs, those of them that have not ended by themselves. Raises `CouldNotAskError`."""
    every = sorted(ids)
    for start in range(0, len(every), _JOBS_PER_COMMAND):
        try:
            run(scheduler.cancellation(every[start : start + _JOBS_PER_COMMAND]), seconds=_SECONDS)
        except ProcessError as error:
            if not scheduler.is_over(error.said):
                raise CouldNotAskError(f"jobs could not be cancelled: {error}") from None


def mark_of(mirror: str) -> str:
    """The start of the names of all jobs that fill a build cache, so that those of an earlier run are known."""
    return f"jc-{hashlib.sha256(mirror.encode()).hexdigest()[:8]}-"


def job_name(mirror: str, work: StepWork) -> str:
    """The name of the job of a step."""
    return f"{mark_of(mirror)}{work.step.hash[:7]}-{work.step.package}"


def script(work: StepWork) -> str:
    """What the job of a step runs."""
    words = shlex.join(word.replace(CORES, str(work.cores)) for word in work.argv)
    return f"#!/bin/sh\nexec {words}\n"
