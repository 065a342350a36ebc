"""What every engine is to whoever has steps to run: a thing that takes them, and says what became of them.

An engine never says whether a package is there: that is for the build cache, and for the record that the step's program
leaves. It only knows of processes and jobs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final, Protocol

from job_creator.builds.steps import Step

CORES: Final = "{cores}"
"""Stands in a step's program for the number of cores that it gets."""


@dataclass(frozen=True, slots=True)
class StepWork:
    """A step, and how it is run."""

    step: Step
    argv: tuple[str, ...]
    """The program that builds it. `CORES` in a word becomes the number of cores that it may use."""
    log: Path
    """The file that gets what it prints."""
    cores: int = 1
    """How many it would like to have."""
    seconds: float = 12 * 3600.0
    """How long it may take. The program ends itself then; an engine that still sees it a while later ends it."""
    joins_jobserver: bool = False
    """Whether all that it runs beside each other is run by a make that takes part in a jobserver of GNU make 4.4."""
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    """All of its environment."""
    ranks: int = 0
    """How many cores of any machines it takes besides, for ranks that compile for it."""


class EndingKind(StrEnum):
    """How a step's program ended."""

    DONE = "done"
    """By itself, with 0."""
    FAILED = "failed"
    """By itself, with another code."""
    OUT_OF_TIME = "out of time"
    OUT_OF_MEMORY = "out of memory"
    CANCELLED = "cancelled"
    """It never started, because a step before it did not end with 0."""
    LOST = "lost"
    """Its machine failed, or somebody ended it."""


@dataclass(frozen=True, slots=True)
class StepEnding:
    """That a step has ended, and how."""

    id: str
    """What `submit` gave."""
    kind: EndingKind
    detail: str = ""
    """What the engine says of it, for people."""


class StepEngine(Protocol):
    """Runs steps. All methods raise `CouldNotAskError` when a scheduler gives no answer."""

    name: str
    holds_dependencies: bool
    """Whether steps may be submitted before what they need has ended."""

    def room(self, waiting: int) -> int:
        """How many of `waiting` steps may be submitted now."""

    def submit(self, work: StepWork, after: Collection[str]) -> str:
        """Start a step, or have it started once those of the ids in `after` have ended well.

        Returns its id, or nothing if there was no room for it after all.
        """

    def poll(self, seconds: float) -> Iterable[StepEnding]:
        """What has ended since the last call. Waits for something to end, up to so many seconds."""

    def cancel(self, ids: Collection[str]) -> None:
        """End steps; what has ended already is left alone."""

    def close(self) -> None:
        """End what the engine itself keeps running."""
