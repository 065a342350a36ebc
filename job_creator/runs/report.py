"""What a run did, for people and for programs. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from foundation.graph import Edges, reachable
from foundation.shown import shown_duration
from job_creator.runs.records import StepRecord

STATES: Final = ("built", "reused", "failed", "skipped")
"""The states of packages, in the order in which they are told."""


@dataclass(frozen=True, slots=True)
class Blocker:
    """A package that failed, and how many others were skipped because of it."""

    record: StepRecord
    blocked: int


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What became of the packages of a run."""

    records: tuple[StepRecord, ...]
    """The last of each package."""
    blockers: tuple[Blocker, ...]
    """What failed, the one that blocks most first."""
    open: int
    """Packages of which nothing is known yet."""

    @property
    def is_complete(self) -> bool:
        """Whether the build cache has all packages of the run."""
        return not self.open and all(record.is_there for record in self.records)

    @property
    def counts(self) -> dict[str, int]:
        """How many packages there are of each state."""
        return {state: sum(record.state == state for record in self.records) for state in STATES}


def make_report(edges: Edges, records: Mapping[str, StepRecord]) -> BuildReport:
    """The report of a run. `edges` are the needs of all its steps, `records` the last of each, by DAG hash."""
    failed = {key for key, record in records.items() if record.state == "failed"}
    lost = {key for key, record in records.items() if record.state == "skipped"}
    blocked = dict.fromkeys(failed, 0)
    for key, below in reachable(edges).items():
        if key in lost:
            for cause in below & failed:
                blocked[cause] += 1
    blockers = [Blocker(records[key], count) for key, count in blocked.items()]
    blockers.sort(key=lambda one: (-one.blocked, one.record.package, one.record.hash))
    ordered = sorted(records.values(), key=lambda one: (one.package, one.version, one.hash))
    return BuildReport(tuple(ordered), tuple(blockers), len(edges.keys() - records.keys()))


def record_line(record: StepRecord) -> str:
    """What became of a package, in one line."""
    told = f"{record.state:7} {record.package}@{record.version}/{record.hash[:7]}"
    if record.seconds:
        told += f" in {shown_duration(record.seconds)}"
    if record.failure and record.state == "failed":
        told += f" [{record.failure}]"
    return f"{told}: {record.because}" if record.because else told


def report_lines(report: BuildReport, folder: str) -> Iterator[str]:
    """What a run did: how many packages of each state, and what failed."""
    counts = [f"{count} {state}" for state, count in report.counts.items() if count]
    if report.open:
        counts.append(f"{report.open} open")
    yield ", ".join(counts) or "nothing to do"
    for blocker in report.blockers:
        others = f"; keeps {blocker.blocked} from being built" if blocker.blocked else ""
        yield f"{record_line(blocker.record)}{others}"
        if blocker.record.log:
            yield f"        {folder}/{blocker.record.log}"


def report_value(report: BuildReport, folder: str) -> dict[str, Any]:
    """The same for programs."""
    return {
        "run": folder,
        "complete": report.is_complete,
        "open": report.open,
        **report.counts,
        "blockers": [{"hash": one.record.hash, "blocked": one.blocked} for one in report.blockers],
        "packages": records_value(report.records),
    }


def records_value(records: Iterable[StepRecord]) -> list[dict[str, Any]]:
    """Records for programs."""
    return [asdict(record) for record in records]
