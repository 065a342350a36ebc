"""A report as a trace, which Perfetto (ui.perfetto.dev) and Chromium's tracing page open. Pure.

Source: "Trace Event Format" of the Chromium project, JSON Object Format; complete events (`X`), counters (`C`) and
metadata (`M`). Times are in microseconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from job_creator.reports.report import StackReport
from job_creator.reports.schedules import PlayedJob, Schedule

_PROCESS: Final = 1
_MICROSECONDS: Final = 1_000_000


def trace_value(report: StackReport) -> dict[str, Any]:
    """The trace, as JSON has it; without events where nobody knows when jobs run."""
    events = list(_events(report, report.schedule)) if report.schedule is not None else []
    return {"displayTimeUnit": "ms", "otherData": {"title": report.title}, "traceEvents": events}


def _events(report: StackReport, schedule: Schedule) -> Iterator[dict[str, Any]]:
    yield _named("process_name", 0, report.title)
    for lane in range(schedule.lanes):
        name = schedule.runners[lane] if schedule.runners else f"runner {lane + 1}"
        yield _named("thread_name", lane, name)
        yield {**_named("thread_sort_index", lane, ""), "args": {"sort_index": lane}}
    names = report.names()
    for bar in schedule.bars:
        yield {
            "ph": "X",
            "pid": _PROCESS,
            "tid": bar.lane,
            "ts": round(bar.start * _MICROSECONDS),
            "dur": round(bar.finish * _MICROSECONDS) - round(bar.start * _MICROSECONDS),
            "name": bar.name,
            "cat": _category(bar),
            "args": {"packages": [names[key] for key in bar.packages if key in names]},
        }
    for when, running in schedule.concurrency():
        at = round(when * _MICROSECONDS)
        yield {"ph": "C", "pid": _PROCESS, "tid": 0, "ts": at, "name": "jobs that run", "args": {"jobs": running}}


def _named(what: str, lane: int, name: str) -> dict[str, Any]:
    return {"ph": "M", "pid": _PROCESS, "tid": lane, "name": what, "args": {"name": name}}


def _category(bar: PlayedJob) -> str:
    return "failed" if bar.is_failed else "longest chain" if bar.is_critical else "package" if bar.packages else "other"
