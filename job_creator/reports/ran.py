"""The report of what was built, from the records that the builds left, whoever ran them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from foundation.graph import Edges, between, critical_path
from job_creator.builds.durations import Durations
from job_creator.reports.changes import Packages, compare, edges_of
from job_creator.reports.report import (
    CacheUse,
    PackageState,
    ReportedFailure,
    ReportedPackage,
    ReportKind,
    StackReport,
)
from job_creator.reports.schedules import PlayedJob, Schedule, lanes_of, named_lanes
from job_creator.runs.records import StepRecord
from job_creator.runs.report import make_report

_STATES: Final = {state.value: state for state in PackageState}


@dataclass(frozen=True)
class RunFacts:
    """What the report of a run is made from."""

    title: str
    records: Mapping[str, StepRecord]
    """The last record of each package, by DAG hash."""
    durations: Durations
    edges: Edges | None = None
    """What each package waited for."""
    named: Mapping[str, str] = field(default_factory=dict)
    """`name@version` of packages that have no record yet, by DAG hash."""
    present: int | None = None
    """Packages that the build cache had before the run."""
    errors: Mapping[str, str] = field(default_factory=dict)
    """The first line that tells of an error, by DAG hash."""
    before: Packages | None = None
    after: Packages | None = None
    unread: tuple[str, ...] = ()
    """What could not be read, a sentence each."""


def run_report(facts: RunFacts) -> StackReport:
    """Report a run."""
    edges = _edges(facts)
    taken = {key: _taken(facts.records.get(key)) for key in edges or {}}
    critical = critical_path(edges, taken) if edges and any(taken.values()) else ()
    has_both = facts.before is not None and facts.after is not None
    changes = compare(facts.before or {}, facts.after or {}, facts.durations) if has_both else None
    schedule = _schedule(facts, frozenset(critical))
    return StackReport(
        ReportKind.RUN,
        facts.title,
        _packages(facts, frozenset(critical)),
        tuple(_unknown(facts, schedule)),
        changes,
        schedule,
        critical,
        cache=_cache(facts),
        failures=_failures(facts),
    )


def edges_by_locks(packages: Packages, records: Mapping[str, StepRecord]) -> Edges:
    """What packages that have records waited for by their lockfiles, also across others; by DAG hash."""
    return between(edges_of(packages), [key for key in records if key in packages])


def _edges(facts: RunFacts) -> Edges | None:
    """The needs between packages that have records or names; everything else is not part of the run."""
    if facts.edges is None:
        return None
    known = facts.records.keys() | facts.named.keys()
    return {key: frozenset(facts.edges.get(key, ())) & known for key in sorted(known)}


def _taken(record: StepRecord | None) -> float:
    return record.seconds if record else 0.0


def _packages(facts: RunFacts, critical: frozenset[str]) -> tuple[ReportedPackage, ...]:
    found = [
        ReportedPackage(
            key,
            f"{one.package}@{one.version}",
            _STATES.get(one.state, PackageState.OPEN),
            one.because,
            facts.durations.of_package(one.package),
            one.seconds,
            key in critical,
        )
        for key, one in facts.records.items()
    ]
    found += [
        ReportedPackage(key, name, PackageState.OPEN, "", facts.durations.of_package(name.partition("@")[0]))
        for key, name in facts.named.items()
        if key not in facts.records
    ]
    return tuple(sorted(found, key=lambda one: (one.name, one.hash)))


def _schedule(facts: RunFacts, critical: frozenset[str]) -> Schedule | None:
    """When packages were built and where, as far as all of them say when they began."""
    worked = [one for one in facts.records.values() if one.seconds > 0]
    if not worked or not all(one.started for one in worked):
        return None
    first = min(one.started for one in worked)
    worked.sort(key=lambda one: (one.started, one.package, one.hash))
    spans = [(one.started - first, one.started - first + one.seconds) for one in worked]
    runners = named_lanes(one.worker for one in worked) if all(one.worker for one in worked) else ()
    lanes = [runners.index(one.worker) for one in worked] if runners else lanes_of(spans)
    bars = tuple(
        PlayedJob(
            f"{one.package}@{one.version}",
            lane,
            *span,
            (one.hash,),
            one.hash in critical,
            one.state == "failed",
        )
        for one, span, lane in zip(worked, spans, lanes, strict=True)
    )
    return Schedule("as it was", max(finish for _, finish in spans), bars, runners)


def _cache(facts: RunFacts) -> CacheUse:
    reused = sum(one.state == "reused" for one in facts.records.values())
    others = len(facts.records.keys() | facts.named.keys()) - reused
    return CacheUse(reused + (facts.present or 0), others)


def _failures(facts: RunFacts) -> tuple[ReportedFailure, ...]:
    edges = _edges(facts)
    blockers = make_report(edges or dict.fromkeys(facts.records, frozenset()), facts.records).blockers
    return tuple(
        ReportedFailure(
            one.record.hash,
            f"{one.record.package}@{one.record.version}",
            one.record.failure,
            one.record.because,
            facts.errors.get(one.record.hash, ""),
            one.record.log,
            one.blocked if edges is not None else None,
        )
        for one in blockers
    )


def _unknown(facts: RunFacts, schedule: Schedule | None) -> Iterator[str]:
    if facts.edges is None:
        yield "the longest chain, and what failures kept from being built: no lockfiles were given (--locks)"
    if facts.before is None or facts.after is None:
        yield "what changed: lockfiles of before and after were not both given (--before, --locks)"
    if facts.present is None:
        yield "what the build cache had for which no job was started: records only tell of jobs"
    if schedule is None and facts.records:
        yield "when packages were built: not all records say when they began"
    failed = [key for key, one in facts.records.items() if one.state == "failed"]
    if lacking := [key for key in failed if key not in facts.errors]:
        count = f"{len(lacking):,} of {len(failed):,} failures"
        yield f"the first error of {count}: no log of them was found, or no line in it tells of one"
    yield "the size of images: records tell of packages alone"
    yield from facts.unread
