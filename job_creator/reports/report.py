"""What a report says, whoever reads it: the values that all of its forms are made of. Pure.

Seconds count from the start of what is reported. `None` is what nobody knows; `StackReport.unknown` says so in words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any, Final

from foundation.shown import shown_duration
from job_creator.reports.changes import LockChanges
from job_creator.reports.schedules import Schedule

VERSION: Final = 1
"""Of the layout of reports as JSON."""


class ReportKind(StrEnum):
    """Whether something is going to be built, or was."""

    PLAN = "plan"
    RUN = "run"


class PackageState(StrEnum):
    """What becomes of a package, in the order in which states are told."""

    FAILED = "failed"
    SKIPPED = "skipped"
    OPEN = "open"
    TO_BUILD = "to build"
    BUILT = "built"
    REUSED = "reused"


@dataclass(frozen=True, slots=True)
class ReportedPackage:
    """A package that is to be built, or was."""

    hash: str
    """DAG hash."""
    name: str
    """`name@version`."""
    state: PackageState
    why: str
    """Why it is built, or why it is not there; empty where that is not known, or goes without saying."""
    expected: float
    """Seconds that it is expected to take."""
    seconds: float | None = None
    """Seconds that it took."""
    is_critical: bool = False
    """Whether it is part of the longest chain."""


@dataclass(frozen=True, slots=True)
class ReportedFailure:
    """A package that failed."""

    hash: str
    name: str
    kind: str
    """Where the cause lies (`runs.failures.FailureClass`); empty where nobody could tell."""
    because: str
    error: str
    """The first line of its log that tells of an error; empty where there is none, or no log."""
    log: str
    """The file of its log."""
    blocked: int | None
    """How many packages were not tried because of it."""


@dataclass(frozen=True, slots=True)
class WhatIf:
    """How much earlier all would be done if a package took half as long."""

    name: str
    expected: float
    saved: float


@dataclass(frozen=True, slots=True)
class RunnersEstimate:
    """How long all takes with so many runners, and what it takes at least."""

    runners: int
    seconds: float
    at_least: float


@dataclass(frozen=True, slots=True)
class ReportedLimit:
    """How much of one of GitLab's limits a pipeline uses, in the unit that the name says."""

    pipeline: str
    name: str
    used: int
    limit: int


@dataclass(frozen=True, slots=True)
class CacheUse:
    """How many packages the build cache has already, and how many it lacks or lacked."""

    present: int
    lacking: int

    @property
    def rate(self) -> float:
        """The part that need not be built, from 0 to 1; 1 where there is nothing at all."""
        return self.present / (self.present + self.lacking) if self.present + self.lacking else 1.0


@dataclass(frozen=True)
class StackReport:
    """All of a report. What is empty or `None` is left out by its forms."""

    kind: ReportKind
    title: str
    packages: tuple[ReportedPackage, ...]
    """In the order of their names."""
    unknown: tuple[str, ...] = ()
    """What the report does not say, and why, a sentence each."""
    changes: LockChanges | None = None
    schedule: Schedule | None = None
    critical: tuple[str, ...] = ()
    """DAG hashes of the longest chain, its first package first."""
    what_if: tuple[WhatIf, ...] = ()
    """The most first."""
    estimates: tuple[RunnersEstimate, ...] = ()
    cache: CacheUse | None = None
    limits: tuple[ReportedLimit, ...] = ()
    failures: tuple[ReportedFailure, ...] = ()
    """What blocks most first."""

    @cached_property
    def by_hash(self) -> Mapping[str, ReportedPackage]:
        """The packages by DAG hash."""
        return {one.hash: one for one in self.packages}

    @property
    def counts(self) -> dict[PackageState, int]:
        """How many packages there are of each state that occurs."""
        found = Counter(one.state for one in self.packages)
        return {state: found[state] for state in PackageState if found[state]}

    @property
    def work_seconds(self) -> float:
        """Seconds of all builds, one after the other: as measured for a run, as expected for a plan."""
        return sum((one.seconds or 0.0) if self.kind is ReportKind.RUN else one.expected for one in self.packages)

    @property
    def critical_seconds(self) -> float:
        """The same of the longest chain."""
        chain = (self.by_hash[key] for key in self.critical)
        return sum((one.seconds or 0.0) if self.kind is ReportKind.RUN else one.expected for one in chain)

    def names(self) -> dict[str, str]:
        """How packages are called in tables, by DAG hash: `name@version`, with a part of the hash if several are."""
        count = Counter(one.name for one in self.packages)
        return {one.hash: one.name if count[one.name] == 1 else f"{one.name}/{one.hash[:7]}" for one in self.packages}

    def facts(self) -> Iterator[tuple[str, str]]:
        """What most people want to know, each with its name."""
        yield "packages", ", ".join(f"{count:,} {state}" for state, count in self.counts.items()) or "nothing to build"
        if self.schedule is not None and self.schedule.bars:
            yield f"time {self.schedule.basis}", shown_duration(self.schedule.seconds)
        if self.critical:
            yield "longest chain", f"{len(self.critical)} packages, {shown_duration(self.critical_seconds)}"
        if self.packages:
            hours = self.work_seconds / 3600
            yield "runner hours", f"{hours:.1f}" if hours >= 1 else f"{hours:.2f}"
        if self.cache is not None:
            present, every = self.cache.present, self.cache.present + self.cache.lacking
            yield "in the build cache", f"{present:,} of {every:,} ({self.cache.rate:.0%})"

    def as_value(self) -> dict[str, Any]:
        """The report for programs."""
        value = asdict(self)
        changes = self.changes.as_value() if self.changes is not None else None
        sums = {"work_seconds": self.work_seconds, "critical_seconds": self.critical_seconds}
        every = {"version": VERSION, **value, "changes": changes, "counts": self.counts, **sums}
        return {name: _rounded(one) for name, one in every.items()}


def _rounded(value: Any) -> Any:
    """The same with seconds that are no more exact than anybody knows them."""
    if isinstance(value, float):
        return round(value, 1)
    if isinstance(value, dict):
        return {str(key): _rounded(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(one) for one in value]
    return value
