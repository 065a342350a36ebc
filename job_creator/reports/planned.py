"""The report of what is going to be built, from lockfiles and, where they were generated, from pipelines. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from foundation.graph import Edges, between, critical_path
from job_creator.builds.durations import Durations
from job_creator.reports.changes import LockChanges, Packages, compare, edges_of
from job_creator.reports.report import (
    CacheUse,
    PackageState,
    ReportedLimit,
    ReportedPackage,
    ReportKind,
    RunnersEstimate,
    StackReport,
    WhatIf,
)
from job_creator.reports.schedules import PipelineTree, planned_schedule, tree_of_steps

_RUNNERS: Final = (10, 40, 100)
_WHAT_IFS: Final = 5
"""Packages of which is said what it would change if they took half as long."""


@dataclass(frozen=True)
class PlanFacts:
    """What a plan is made from."""

    title: str
    after: Packages
    """The packages of the lockfiles that are built from."""
    before: Packages | None
    """Those of the lockfiles that changes are told against."""
    durations: Durations
    runners: int
    tree: PipelineTree | None = None
    """The pipelines that were generated; without them, all that is new is to be built."""
    limits: tuple[ReportedLimit, ...] = ()
    no_before: str = ""
    """Why there is no `before`."""


def plan_report(facts: PlanFacts) -> StackReport:
    """Report a plan. Raises `SimulationError` for pipelines that would never end, and `GraphError`."""
    wanted = _wanted(facts)
    edges = between(edges_of(facts.after), wanted)
    seconds = {key: facts.durations.of_package(facts.after[key].node.name) for key in edges}
    critical = critical_path(edges, seconds)
    tree = facts.tree or tree_of_steps(edges, seconds)
    changes = None if facts.before is None else compare(facts.before, facts.after, facts.durations)
    report = StackReport(
        ReportKind.PLAN,
        facts.title,
        _packages(facts, seconds, frozenset(critical), changes),
        tuple(_unknown(facts, edges)),
        changes,
        critical=critical,
        cache=_cache(facts, wanted),
        limits=facts.limits,
    )
    return _with_times(report, tree, facts.runners, edges, seconds) if edges else report


def _with_times(
    report: StackReport, tree: PipelineTree, runners: int, edges: Edges, seconds: Mapping[str, float]
) -> StackReport:
    """What follows when all is played."""
    schedule = planned_schedule(tree, runners, frozenset(report.critical))
    names = report.names()
    bars = tuple(replace(bar, name=names[bar.name]) if bar.name in edges else bar for bar in schedule.bars)
    longest, work = sum(seconds[key] for key in report.critical), sum(seconds.values())
    estimates = tuple(
        RunnersEstimate(
            count, schedule.seconds if count == runners else tree.seconds(count), max(longest, work / count)
        )
        for count in sorted({*_RUNNERS, runners})
    )
    slowest = sorted(report.critical, key=lambda key: (-seconds[key], key))[:_WHAT_IFS]
    what_if = [
        WhatIf(names[key], seconds[key], schedule.seconds - tree.quicker(key, seconds[key] / 2).seconds(runners))
        for key in slowest
    ]
    return replace(
        report,
        schedule=replace(schedule, bars=bars),
        estimates=estimates,
        what_if=tuple(sorted(what_if, key=lambda one: (-one.saved, one.name))),
    )


def _wanted(facts: PlanFacts) -> frozenset[str]:
    """DAG hashes of what is to be built."""
    own = {key for key, package in facts.after.items() if not package.is_external}
    if facts.tree is not None:
        return facts.tree.packages & own
    return frozenset(own - (facts.before or {}).keys())


def _packages(
    facts: PlanFacts, seconds: Mapping[str, float], critical: frozenset[str], changes: LockChanges | None
) -> tuple[ReportedPackage, ...]:
    why = {} if changes is None else _reasons(changes)
    usual = "" if changes is None else "not in the build cache"
    found = [
        ReportedPackage(
            key,
            facts.after[key].name,
            PackageState.TO_BUILD,
            why.get(key, usual),
            taken,
            is_critical=key in critical,
        )
        for key, taken in seconds.items()
    ]
    return tuple(sorted(found, key=lambda one: (one.name, one.hash)))


def _reasons(changes: LockChanges) -> dict[str, str]:
    """Why packages have new hashes."""
    return {
        **{one.change.after.node.hash: "changed" for one in changes.causes},
        **{one.after.node.hash: "follows" for one in changes.followers},
        **{one.node.hash: "new" for one in changes.added},
    }


def _cache(facts: PlanFacts, wanted: frozenset[str]) -> CacheUse | None:
    if facts.tree is None:
        return None
    own = sum(not package.is_external for package in facts.after.values())
    return CacheUse(own - len(wanted), len(wanted))


def _unknown(facts: PlanFacts, edges: Edges) -> Iterator[str]:
    if facts.before is None:
        yield f"what changes: {facts.no_before}"
    if facts.tree is None:
        yield "what the build cache has: no generated pipeline was given (--pipeline)"
        yield "room left below GitLab's limits: no generated pipeline was given (--pipeline)"
    guessed = sum(facts.after[key].node.name not in facts.durations.measured for key in edges)
    if guessed:
        count = f"{guessed:,} of {len(edges):,}"
        yield f"how long {count} packages take: nobody measured it, so a model guesses (--durations)"
    yield "the size of images: they are built later"
