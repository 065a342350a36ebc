"""What is said to Flux and what it answers, as values. Pure.

Sources: the manual pages of flux-submit, flux-jobs and flux-cancel; Flux RFC 19 for ids, RFC 21 for states and
exceptions, RFC 26 for dependencies. What else stands here was seen with Flux 0.88.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from job_creator.engines.engine import EndingKind, StepEnding
from job_creator.engines.scheduler import MARGIN_SECONDS, NewJob, ScheduledJob, Submission

_DIGITS: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
"""Of ids as people see them, after an ƒ, or an f where the language knows no such letter: RFC 19."""
_RESULTS: Final = {
    "COMPLETED": EndingKind.DONE,
    "FAILED": EndingKind.FAILED,
    "CANCELED": EndingKind.LOST,
    "TIMEOUT": EndingKind.OUT_OF_TIME,
}
_EXCEPTIONS: Final = {
    # It waited for a job that failed.
    "dependency": EndingKind.CANCELLED,
    # `node failure on HOST`, or its program could not be started; Flux queues nothing anew.
    "exec": EndingKind.LOST,
    # No node can ever have room for it.
    "alloc": EndingKind.LOST,
}
"""How a job that failed has ended, by the exception that was raised for it."""
_NEVER: Final = ("failed or was canceled", "not found", "can never be satisfied")
"""Parts of what flux submit says when a job waits for one that failed, or that Flux has forgotten."""
_OVER: Final = ("job is inactive", "unknown job id", "No such file or directory")
"""What it says of jobs that have ended when they are to be cancelled."""
_NO_ROOM: Final = ("limit", "submission is disabled", "queue is full")
"""Parts of what it says when there are too many jobs, or a queue is closed for a while."""


class Flux:
    """See `scheduler.Scheduler`."""

    name = "flux"
    called = "Flux"
    listing: tuple[str, ...] = ("flux", "jobs", "-a", "--count=0", "--json")

    def submission(self, job: NewJob) -> list[str]:
        """Without a secret: what the job sees comes from the environment of flux submit.

        The folder of the run is that in which it starts, since flux jobs tells of no comments.
        """
        work = job.work
        return [
            "flux",
            "submit",
            f"--job-name={job.name}",
            f"--cwd={job.run}",
            f"--output={work.log}",
            "--setopt=output.mode=append",
            "--ntasks=1",
            f"--cores-per-task={work.cores}",
            f"--time-limit={math.ceil((work.seconds + MARGIN_SECONDS) / 60)}m",
            *(f"--dependency=afterok:{id_}" for id_ in job.after),
            *job.options,
            # It takes a command, not a script of its own.
            "sh",
            job.script,
        ]

    def answer(self, code: int, said: Sequence[str]) -> Submission:
        """Warnings may stand before the id."""
        id_ = _number(said[-1].strip()) if code == 0 and said else ""
        if id_:
            return Submission(id_)
        # It names what it says it of: `flux-submit: ERROR: dependency: afterok: job … failed or was canceled`.
        told = next((line for line in said if "dependency" in line and any(text in line for text in _NEVER)), "")
        is_full = not told and any(text in line for text in _NO_ROOM for line in said)
        return Submission(is_full=is_full, is_never=told)

    def jobs(self, output: str) -> Iterator[ScheduledJob]:
        """An object with a list `jobs`; each leaves out what is empty. Raises `ValueError` for anything else."""
        try:
            value = json.loads(output)
            for one in value["jobs"]:
                yield ScheduledJob(str(one["id"]), one.get("name", ""), one.get("cwd", ""), _ending(one))
        except (KeyError, TypeError) as error:
            raise ValueError(f"not laid out as expected: {error}") from None

    def cancellation(self, ids: Sequence[str]) -> list[str]:
        """Each that it can end is ended, also where it fails for others."""
        return ["flux", "cancel", *ids]

    def is_over(self, message: str) -> bool:
        """It complains of jobs that have ended, one a line."""
        lines = [line for line in message.splitlines() if line.strip()]
        return bool(lines) and all(any(text in line for text in _OVER) for line in lines)


def _ending(job: Mapping[str, Any]) -> StepEnding | None:
    if job["state"] != "INACTIVE":
        return None
    exception = job.get("exception", {})
    result, type_ = job["result"], exception.get("type", "")
    kind = _RESULTS.get(result, EndingKind.LOST)
    if result == "FAILED" and exception.get("occurred"):
        kind = _EXCEPTIONS.get(type_, kind)
    told = [result, type_, exception.get("note", "")]
    if kind is EndingKind.FAILED:
        told.append(f"exit code {job.get('returncode', 'unknown')}")
    return StepEnding(str(job["id"]), kind, ", ".join(word for word in told if word))


def _number(shown: str) -> str:
    """The number that an id stands for, as flux jobs has it; empty for what is no id."""
    letters = shown[1:] if shown[:1] in ("ƒ", "f") else ""
    if not letters or not set(letters) <= set(_DIGITS):
        return ""
    number = 0
    for letter in letters:
        number = number * len(_DIGITS) + _DIGITS.index(letter)
    return str(number)
