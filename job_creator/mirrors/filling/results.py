"""What filling a mirror gave, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from foundation.progress import Advance
from job_creator.mirrors.filling.creation import Result
from job_creator.mirrors.filling.sources import Done, ItemOutcome
from job_creator.mirrors.needs.plan import MirrorPlan, Status
from job_creator.mirrors.needs.plan_report import item_as_value, item_lines


def noted(advance: Advance) -> Done:
    """Moves a progress on by each item, with a line about what became of it."""

    def note(outcome: ItemOutcome) -> None:
        said = f"failed: {outcome.problem}" if outcome.problem else "done"
        advance(1, f"{outcome.item.kind} of {outcome.item.packages[0]} {said}")

    return note


def result_lines(plan: MirrorPlan, result: Result, place: str) -> Iterator[str]:
    """What became of a plan: what was put into the mirror, and one by one what was not, and why."""
    failed = [one for one in result.outcomes if one.problem]
    added = len(result.outcomes) - len(failed)
    there = len(plan.of(Status.PRESENT))
    yield f"{place}: {added} sources added, {len(result.binaries)} binaries added, {there} were there already"
    if failed or result.missing_binaries:
        yield "missing:"
    for one in failed:
        yield from (f"  {line}" for line in item_lines(one.item))
        yield f"    {one.problem}"
    for item in result.missing_binaries:
        yield from (f"  {line}" for line in item_lines(item))
    yield from result.problems
    if never := plan.of(Status.NEVER):
        yield "can never be mirrored:"
        yield from (f"  {line}" for item in never for line in item_lines(item))


def result_as_value(result: Result | None) -> dict[str, Any]:
    """What became of a plan, for programs."""
    if result is None:
        return {}
    return {
        "complete": result.is_complete,
        "added": [one.item.path for one in result.outcomes if not one.problem],
        "failed": [{**item_as_value(one.item), "problem": one.problem} for one in result.outcomes if one.problem],
        "binaries": sorted(result.binaries),
        "missing_binaries": [item.path for item in result.missing_binaries],
        "missing_because": {item.path: item.reason for item in result.missing_binaries},
        "problems": list(result.problems),
    }
