"""A report as headings, sentences and tables, which all forms for people are made of. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from foundation.shown import shown_duration
from job_creator.reports import changes_text
from job_creator.reports.report import ReportedPackage, ReportKind, StackReport
from job_creator.reports.schedules import PlayedJob

SCHEDULE: Final = "schedule"
CONCURRENCY: Final = "concurrency"
PACKAGES: Final = "packages"
"""Keys of sections that forms show in a way of their own."""
_PARTS: Final = 10
"""Of the time, for which is told how many runners work."""


@dataclass(frozen=True, slots=True)
class ReportSection:
    """A part of a report."""

    key: str
    title: str
    lines: tuple[str, ...] = ()
    headings: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    numbers: tuple[str, ...] = ()
    """The headings of columns with numbers, which stand on the right."""


def sections(report: StackReport) -> tuple[ReportSection, ...]:
    """All parts of a report that have something to say, what matters most first."""
    every = (
        _failures(report),
        _changes(report),
        _schedule(report),
        _concurrency(report),
        _estimates(report),
        _chain(report),
        _what_if(report),
        _limits(report),
        _packages(report),
        ReportSection("unknown", "Not known", headings=("what",), rows=tuple((one,) for one in report.unknown)),
    )
    return tuple(one for one in every if one.lines or one.rows)


def clock(seconds: float) -> str:
    """A duration that tables can be sorted by: `1:02:03`, `2:03`, `0:03`."""
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _failures(report: StackReport) -> ReportSection:
    rows = tuple(
        (
            one.name,
            f"{one.because} [{one.kind}]" if one.kind else one.because,
            one.error or "not known",
            "not known" if one.blocked is None else f"{one.blocked:,}",
            one.log or "not known",
        )
        for one in report.failures
    )
    headings = ("package", "why", "first error", "keeps from being built", "log")
    return ReportSection("failures", "What failed", (), headings, rows, ("keeps from being built",))


def _changes(report: StackReport) -> ReportSection:
    if report.changes is None:
        return ReportSection("changes", "What changes")
    rows = tuple(changes_text.rows(report.changes))
    lines = tuple(changes_text.summary(report.changes, tells_work=False))
    return ReportSection(
        "changes", "What changes, and why", lines, changes_text.HEADINGS, rows, changes_text.HEADINGS[2:]
    )


def _schedule(report: StackReport) -> ReportSection:
    if report.schedule is None or not report.schedule.bars:
        return ReportSection(SCHEDULE, "Who works when")
    jobs, lanes = len(report.schedule.bars), report.schedule.lanes
    line = (
        f"{shown_duration(report.schedule.seconds)} {report.schedule.basis}: {jobs:,} jobs on {lanes:,} runners; "
        "start and runner of each package are in the table of all packages"
    )
    rows = tuple((f"{number}", name) for number, name in enumerate(report.schedule.runners, start=1))
    return ReportSection(SCHEDULE, "Who works when", (line,), ("runner", "name") if rows else (), rows, ("runner",))


def _concurrency(report: StackReport) -> ReportSection:
    parts = tuple(report.schedule.parts(_PARTS)) if report.schedule else ()
    rows = tuple((clock(start), clock(end), f"{busy:.1f}") for start, end, busy in parts)
    headings = ("from", "to", "jobs on average")
    return ReportSection(CONCURRENCY, "How many jobs run", (), headings, rows, headings)


def _estimates(report: StackReport) -> ReportSection:
    rows = tuple((f"{one.runners}", clock(one.seconds), clock(one.at_least)) for one in report.estimates)
    headings = ("runners", "takes", "at least")
    lines = ("less than the longest chain, and than all work shared evenly, is not possible",) if rows else ()
    return ReportSection("estimates", "With more runners, or fewer", lines, headings, rows, headings)


def _chain(report: StackReport) -> ReportSection:
    names = report.names()
    chain = [report.by_hash[key] for key in report.critical]
    rows = tuple((names[one.hash], *_times(one, report.kind)) for one in chain)
    headings = ("package", *_time_headings(report.kind))
    line = f"{len(chain)} packages wait for each other, {shown_duration(report.critical_seconds)} in all"
    return ReportSection("chain", "The longest chain", (line,) if chain else (), headings, rows, headings[1:])


def _what_if(report: StackReport) -> ReportSection:
    rows = tuple((one.name, clock(one.expected), clock(max(0.0, one.saved))) for one in report.what_if)
    headings = ("package", "takes", "if half as long, all is done earlier by")
    return ReportSection("what-if", "What would help", (), headings, rows, headings[1:])


def _limits(report: StackReport) -> ReportSection:
    rows = tuple(
        (one.pipeline, one.name, f"{one.used:,}", f"{one.limit:,}", f"{one.used / one.limit:.0%}")
        for one in report.limits
    )
    headings = ("pipeline", "what GitLab limits", "used", "limit", "share")
    return ReportSection("limits", "Room below GitLab's limits", (), headings, rows, headings[2:])


def _packages(report: StackReport) -> ReportSection:
    rows = tuple(package_rows(report))
    times = _time_headings(report.kind)
    placed = ("start", "end", "runner") if report.schedule else ()
    state = ("state",) if report.kind is ReportKind.RUN else ()
    headings = ("package", *state, *times, *placed, "why")
    return ReportSection(PACKAGES, "All packages", (), headings, rows, (*times, *placed))


def package_rows(report: StackReport) -> Iterator[tuple[str, ...]]:
    """A row for each package: what failed first, then as they start, then by name."""
    bars = {key: bar for bar in (report.schedule.bars if report.schedule else ()) for key in bar.packages}
    names = report.names()
    order = {state: index for index, state in enumerate(report.counts)}
    rows: list[tuple[tuple[int, float, str], tuple[str, ...]]] = []
    for one in report.packages:
        bar = bars.get(one.hash)
        state = (str(one.state),) if report.kind is ReportKind.RUN else ()
        placed = _placed(bar) if report.schedule else ()
        cells = (names[one.hash], *state, *_times(one, report.kind), *placed, one.why)
        rows.append(((order[one.state], bar.start if bar else 0.0, names[one.hash]), cells))
    yield from (cells for _, cells in sorted(rows))


def _placed(bar: PlayedJob | None) -> tuple[str, ...]:
    return (clock(bar.start), clock(bar.finish), f"{bar.lane + 1}") if bar else ("", "", "")


def _time_headings(kind: ReportKind) -> tuple[str, ...]:
    return ("expected",) if kind is ReportKind.PLAN else ("took", "expected")


def _times(package: ReportedPackage, kind: ReportKind) -> tuple[str, ...]:
    taken = clock(package.seconds) if package.seconds else ""
    return (clock(package.expected),) if kind is ReportKind.PLAN else (taken, clock(package.expected))
