"""The engine of Slurm: a job for each step, submitted ahead with the jobs that it has to wait for.

What is submitted goes on without the process that submitted it. Ids are never referred to after their jobs have ended:
Slurm takes `afterok` of a job that it has forgotten for satisfied, and gives ids anew after a crash. So a job counts as
ours by id and name, and steps look themselves whether what they need is in the build cache.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

from foundation.doors.files import write_files
from foundation.doors.processes import ProcessError, follow, run
from foundation.errors import CouldNotAskError
from job_creator.engines.engine import EndingKind, StepEnding, StepWork
from job_creator.engines.slurm.jobs import FORMAT, NO_ROOM, SlurmJob, job_name, mark_of, read_jobs, sbatch, script

_SECONDS: Final = 120.0
"""For an answer of a command; controllers may be busy."""
_SECONDS_BETWEEN_POLLS: Final = 2.0
_PATIENCE: Final = 900.0
"""For how many seconds squeue may fail, as when a controller is restarted."""
_IDS_PER_COMMAND: Final = 500

logger = logging.getLogger(__name__)


class SlurmEngine:
    """Runs steps as jobs, at most `most` of them known to Slurm at once.

    `comment` is the folder of the run, `options` are more words for sbatch, such as `--partition=long`, and `variables`
    those that sbatch needs itself, such as `SLURM_CONF`.
    """

    name = "slurm"
    holds_dependencies = True

    def __init__(
        self,
        mirror: str,
        comment: str,
        options: Sequence[str] = (),
        *,
        variables: Mapping[str, str] | None = None,
        most: int = 1000,
        pause: float = _SECONDS_BETWEEN_POLLS,
    ) -> None:
        self._mirror, self._comment, self._options, self._most, self._pause = mirror, comment, options, most, pause
        self._variables = variables or {}
        self._open: dict[str, str] = {}
        """Names of jobs by id."""
        self._answered = time.monotonic()

    def room(self, waiting: int) -> int:
        """As many as the limit leaves."""
        return self._most - len(self._open)

    def submit(self, work: StepWork, after: Collection[str]) -> str:
        """Submit a step. Raises `CouldNotAskError` where sbatch refuses it."""
        path = work.log.with_name("job.sh")
        write_files(path.parent, {path.name: script(work).encode()})
        name = job_name(self._mirror, work)
        command = [*sbatch(work, name, self._comment, after, self._options), str(path)]
        said: list[str] = []
        environment = {**work.environment, **self._variables}
        code = follow(command, said.append, folder=path.parent, environment=environment, seconds=_SECONDS)
        # On a federation the name of the cluster follows the id; warnings may stand before it.
        id_ = said[-1].partition(";")[0].strip() if said else ""
        if code != 0 or not id_.isdecimal():
            if self._open and any(text in line for text in NO_ROOM for line in said):
                self._most = len(self._open)
                logger.info("Slurm takes no more than %d jobs", self._most)
                return ""
            raise CouldNotAskError(f"Slurm does not take the job of {work.step}: {' '.join(said)}")
        self._open[id_] = name
        return id_

    def poll(self, seconds: float) -> Iterator[StepEnding]:
        """What has ended."""
        until = time.monotonic() + seconds
        while True:
            found = list(self._ended())
            if found or time.monotonic() >= until:
                yield from found
                return
            time.sleep(self._pause)

    def cancel(self, ids: Collection[str]) -> None:
        """End jobs. Raises `CouldNotAskError`."""
        every = sorted(ids)
        for start in range(0, len(every), _IDS_PER_COMMAND):
            try:
                run(["scancel", *every[start : start + _IDS_PER_COMMAND]], seconds=_SECONDS)
            except ProcessError as error:
                raise CouldNotAskError(f"jobs could not be cancelled: {error}") from None

    def close(self) -> None:
        """Jobs go on without this process."""

    def _ended(self) -> Iterator[StepEnding]:
        try:
            jobs = {job.id: job for job in known_jobs()}
        except CouldNotAskError as error:
            if time.monotonic() - self._answered > _PATIENCE:
                raise
            logger.info("%s", error)
            return
        self._answered = time.monotonic()
        for id_, name in list(self._open.items()):
            job = jobs.get(id_)
            if job is None or job.name != name:
                ending: StepEnding | None = StepEnding(id_, EndingKind.LOST, "Slurm has forgotten the job")
            else:
                ending = job.ending
            if ending is not None:
                del self._open[id_]
                if job is not None and job.name == name and job.state == "PENDING":
                    self.cancel([id_])
                yield ending


def known_jobs() -> Iterator[SlurmJob]:
    """All jobs of this user that Slurm knows, also those that have ended a while ago. Raises `CouldNotAskError`."""
    try:
        output = run(["squeue", "--noheader", "--me", "--states=all", f"--format={FORMAT}"], seconds=_SECONDS)
    except ProcessError as error:
        raise CouldNotAskError(f"Slurm does not say what became of its jobs: {error}") from None
    yield from read_jobs(output)


def jobs_at_work(mirror: str) -> Iterator[SlurmJob]:
    """The jobs of any run that fill a build cache, and have not ended. Raises `CouldNotAskError`."""
    mark = mark_of(mirror)
    yield from (job for job in known_jobs() if job.name.startswith(mark) and job.ending is None)
