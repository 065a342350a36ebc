"""What became of each package of a run: one JSON object a line, the same whichever engine ran it. Pure.

A record begins with the fields that package jobs of GitLab write (`builds.node_step.PackageOutcome`), so that whatever
reads those (`--durations`) reads these too.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final

from job_creator.builds.steps import Step

OUT_OF_TIME: Final = "it was not done within"
"""How the reason of a record begins whose package took too long."""


@dataclass(frozen=True, slots=True)
class StepRecord:
    """What became of a package in one attempt."""

    hash: str
    """DAG hash."""
    package: str
    version: str
    environment: str
    state: str
    """`built`, `reused` (the build cache had it already), `failed`, or `skipped` (something that it needs failed)."""
    because: str = ""
    """Why, as a sentence; empty for what was built."""
    seconds: float = 0.0
    """From the first look for it to its push, in seconds."""
    peak_memory_bytes: int = 0
    """The most that all processes of its build had in memory at once; 0 where nobody could look."""
    engine: str = ""
    worker: str = ""
    """The machine, and which of its working folders."""
    attempt: int = 1
    failure: str = ""
    """The class of what failed (`failures.FailureClass`); empty for what is there.

    The step's program itself only knows when its machine is at fault.
    """
    log: str = ""
    """The file with what the build said, below the folder of the run."""
    started: float = 0.0
    """When it began, in seconds since 1970; 0 where nobody wrote that down, as for what was skipped."""
    phases: Mapping[str, float] = field(default_factory=dict)
    """Seconds of each phase: prepare, build, push."""

    @property
    def is_there(self) -> bool:
        """Whether the build cache has the package."""
        return self.state in ("built", "reused")

    @property
    def is_out_of_time(self) -> bool:
        """Whether it took longer than it may."""
        return self.because.startswith(OUT_OF_TIME)

    def line(self) -> str:
        """The record as a line of JSON."""
        return json.dumps(asdict(self))


_NAMES: Final = frozenset(one.name for one in fields(StepRecord))


def read_lines(content: bytes) -> tuple[StepRecord, ...]:
    """The records of a file; a last line that was cut off when a machine failed does not count.

    Raises `ValueError`, `TypeError` for anything else that is none.
    """
    *lines, rest = content.split(b"\n")
    del rest
    return tuple(record_of(json.loads(line)) for line in lines if line.strip())


def record_of(value: Mapping[str, Any]) -> StepRecord:
    """A record from JSON; what it does not know is left out. Raises `TypeError` where something lacks."""
    return StepRecord(**{key: found for key, found in value.items() if key in _NAMES})


def latest(records: Iterable[StepRecord]) -> dict[str, StepRecord]:
    """The last record of each package, by DAG hash."""
    return {record.hash: record for record in records}


def skipped(step: Step, lacking: Step, *, engine: str) -> StepRecord:
    """The record of a step that was never started because another one failed; worded as package jobs word it."""
    because = f"{lacking.named}/{lacking.hash[:7]} was not built"
    return StepRecord(
        step.hash, step.package, step.version, step.environment, "skipped", because, engine=engine, failure="dependency"
    )
