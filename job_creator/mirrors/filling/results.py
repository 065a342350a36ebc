"""What filling a mirror gave, for people and for programs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console

from job_creator.mirrors.filling.creation import Result
from job_creator.mirrors.needs.plan import MirrorItem, MirrorPlan, Status
from job_creator.mirrors.needs.plan_report import item_as_value, item_lines, logger


@contextmanager
def progress(doing: str, items: Sequence[MirrorItem], *, quiet: bool) -> Iterator[Callable[[MirrorItem, str], None]]:
    """A bar on a terminal, a line for each item elsewhere, both on stderr."""
    console = Console(stderr=True)
    if quiet or not console.is_terminal or not items:
        yield _Lines(doing, len(items))
        return
    from rich.progress import Progress

    with Progress(console=console) as bar:
        task = bar.add_task(doing, total=len(items))
        yield lambda item, problem: bar.advance(task)


class _Lines:
    """Logs how far the work is; called from several threads."""

    def __init__(self, doing: str, total: int) -> None:
        self._doing, self._total, self._done = doing, total, 0
        self._lock = threading.Lock()

    def __call__(self, item: MirrorItem, problem: str) -> None:
        with self._lock:
            self._done += 1
            done = self._done
        said = f"failed: {problem}" if problem else "done"
        logger.info("%s %d of %d: %s of %s %s", self._doing, done, self._total, item.kind, item.packages[0], said)


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
        yield f"  binary of {item.packages[0]}: is not installed in this Spack; install it, or say --from-cache"
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
        "problems": list(result.problems),
    }
