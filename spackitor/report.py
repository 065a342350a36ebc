"""Plans, contents and findings, for people in a terminal or a job log."""

from __future__ import annotations

import logging
import math
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from foundation.progress import StageProgress
from foundation.shown import shown_size
from foundation.stores.schemes import REGISTRY, kind_of
from spackitor.commands import RunOutcome
from spackitor.inventory.contents import SpecGroup
from spackitor.inventory.inventory import Inventory
from spackitor.inventory.quarantine import Run
from spackitor.inventory.roots import RootSet
from spackitor.policy.plan import CachePlan, reasons_counted

if TYPE_CHECKING:
    from rich.console import Console

_SHOWN: Final = 50

logger = logging.getLogger(__name__)


def print_outcome(outcome: RunOutcome, console: Console, *, is_dry_run: bool) -> None:
    """What would go and why, before anything is done."""
    from foundation.tables import print_table

    plan = outcome.plan
    rows = [
        (one.name, one.version, one.hash[:7], f"{one.age:.0f} d", shown_size(one.size), one.reason)
        for one in sorted(plan.removals, key=lambda one: (-one.size, one.name, one.hash))[:_SHOWN]
    ]
    if rows:
        print_table(("package", "version", "hash", "age", "size", "why"), rows, console)
    if len(plan.removals) > _SHOWN:
        _print(console, f"... and {len(plan.removals) - _SHOWN} more; --plan and --json have all of them")
    for one in plan.leftovers[:_SHOWN]:
        _print(console, f"{one.key}: {one.reason} ({shown_size(one.size)})")
    if len(plan.leftovers) > _SHOWN:
        _print(console, f"... and {len(plan.leftovers) - _SHOWN} more objects")
    for line in _summary(plan, "would go" if is_dry_run else "go"):
        _print(console, line)
    if kind_of(plan.mirror) is REGISTRY:
        for line in _of_registry(outcome):
            _print(console, line)
    if outcome.keeps_versions:
        _print(
            console,
            "  this bucket is versioned: what is deleted goes on to take space as a noncurrent version, until a "
            "lifecycle rule of the bucket (NoncurrentVersionExpiration) removes that",
        )


def _of_registry(outcome: RunOutcome) -> Iterator[str]:
    if not outcome.plan.metadata and not outcome.plan.expired_runs:
        return
    if outcome.can_be_restored and outcome.plan.metadata:
        yield "  what goes stays under tags of spackitor's for the time of grace, so that it can be brought back"
    yield "  space is free when the registry's own garbage collection has run after that; spackitor cannot start it"


def _summary(plan: CachePlan, verb: str) -> Iterator[str]:
    kept = f"{plan.kept} stay ({plan.protected} in use or too young to be judged)"
    yield f"{plan.mirror}: {len(plan.removals)} of {plan.total} {plan.things} {verb}, {kept}"
    for reason, count in reasons_counted(plan).items():
        yield f"  {count} {reason}"
    if plan.leftovers:
        yield f"  {len(plan.leftovers)} objects that belong to nothing {verb}"
    if plan.expired or plan.expired_runs:
        yield f"  {len(plan.expired)} objects {verb} for good: {len(plan.expired_runs)} runs can no longer be undone"
    for change in plan.indexes:
        yield f"  {change.key}: {change.stops} specs leave it, {change.starts} come into it"
    yield f"  {shown_size(plan.size)} of {shown_size(plan.total_size)}"


def print_done(outcome: RunOutcome, console: Console) -> None:
    """What was done."""
    report = outcome.report
    if report:
        left = (
            "" if kind_of(outcome.plan.mirror) is REGISTRY else f", {report.left} left in place for the time of grace"
        )
        _print(
            console,
            f"{report.removed} {outcome.plan.things} removed: {report.deleted} objects deleted, {report.quarantined} "
            f"of them copied into the quarantine{left}",
        )
        for hash_ in report.spared:
            _print(console, f"/{hash_} stays: somebody pushed it, or what needs it, meanwhile")
        for key, reason in list(report.failed.items())[:_SHOWN]:
            _print(console, f"{key}: could not be deleted: {reason}")
    counts = ", ".join(f"{count} {kind}" for kind, count in sorted(outcome.requests.items()))
    _print(console, f"requests: {counts}")


def print_tree(outcome: RunOutcome, console: Console) -> None:
    """What goes as a tree: what was named, and below it what depends on it, with sizes."""
    going = {one.hash: one for one in outcome.plan.removals}
    inventory = getattr(outcome.half, "inventory", None)
    specs = inventory.specs if isinstance(inventory, Inventory) else {}
    users: dict[str, list[str]] = {}
    for hash_ in going:
        spec = specs.get(hash_)
        for dependency in spec.dependencies if spec else ():
            users.setdefault(dependency, []).append(hash_)
    todo = [(hash_, 0) for hash_, one in sorted(going.items()) if one.reason.startswith("named")]
    shown: set[str] = set()
    todo.reverse()
    while todo:
        hash_, depth = todo.pop()
        one = going[hash_]
        again = " (see above)" if hash_ in shown else ""
        _print(console, f"{'  ' * depth}{one.name}@{one.version}/{hash_[:7]}  {shown_size(one.size)}{again}")
        if hash_ not in shown:
            shown.add(hash_)
            todo += [(user, depth + 1) for user in sorted(users.get(hash_, ()), reverse=True)]


def print_roots(roots: Iterable[RootSet], now: float, console: Console) -> None:
    """The recorded root sets."""
    from foundation.tables import print_table

    rows = []
    for one in roots:
        until = (
            "cannot be read"
            if one.damage
            else "for good"
            if one.until is None
            else f"{'until' if not one.is_over(now) else 'over since'} {_day(one.until)}"
        )
        rows.append((one.name, str(len(one.hashes)), str(len(one.edges)), until))
    print_table(("name", "roots", "specs", "counts"), rows, console)


def print_runs(runs: Iterable[Run], console: Console) -> None:
    """What is in the quarantine."""
    from foundation.tables import print_table

    rows = [(one.id, one.command, str(len(one.hashes)), shown_size(one.size), _day(one.until)) for one in runs]
    print_table(("run", "command", "specs", "size", "until"), rows, console)


def rows_of_specs(inventory: Inventory, hashes: Iterable[str]) -> list[tuple[str, ...]]:
    """Specs in the order of their names."""
    found = sorted(hashes, key=lambda hash_: (inventory.specs[hash_].name, inventory.specs[hash_].version, hash_))
    rows: list[tuple[str, ...]] = []
    for hash_ in found:
        spec, copies = inventory.specs[hash_], inventory.copies[hash_]
        layouts = "+".join(sorted({entry.layout for entry in copies}))
        signed = "signed" if all(entry.is_signed for entry in copies) else "unsigned"
        age = _shown_age(inventory.age(hash_))
        size = shown_size(inventory.size([hash_]))
        views = [" ".join(inventory.views_of(hash_)) or "-"] if inventory.views else []
        rows.append((spec.name, spec.version, hash_[:7], spec.target, age, size, layouts, signed, *views))
    return rows


def rows_of_groups(groups: Iterable[SpecGroup]) -> list[tuple[str, ...]]:
    """Groups of specs in their order."""
    return [
        (one.name or "-", str(one.specs), shown_size(one.size), _shown_age(one.youngest), _shown_age(one.oldest))
        for one in groups
    ]


def total_line(inventory: Inventory) -> str:
    """All of it in one line."""
    size = shown_size(inventory.size(inventory.usable))
    others = f", {inventory.unrecognised} of them not recognised" if inventory.unrecognised else ""
    return f"{inventory.url}: {len(inventory.usable)} specs, {size}; {inventory.objects} objects{others}"


def lines_of_views(inventory: Inventory) -> Iterator[str]:
    """A line for each view, with what it lists; what several views list is in the size of each."""
    for name, hashes in sorted(inventory.views.items()):
        yield f"view {name}: {len(hashes)} specs, {shown_size(inventory.size(hashes))}"


@contextmanager
def progress() -> Iterator[StageProgress]:
    """Tells how far things are: a bar on a terminal, a plain line now and then elsewhere."""
    if not sys.stderr.isatty():
        yield _log
        return
    # Commands in pipelines, which show no bar, would wait for these.
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bar

    with Bar(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as bar:
        tasks: dict[str, object] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done)  # type: ignore[arg-type]

        yield show


def _log(what: str, done: int, total: int) -> None:
    logger.info("%s: %d of %d", what, done, total)


def _shown_age(days: float) -> str:
    return f"{days:.0f} d" if math.isfinite(days) else "-"


def _day(when: float) -> str:
    if not math.isfinite(when):
        return "not known"
    return f"{datetime.fromtimestamp(when, UTC):%Y-%m-%d %H:%M} UTC"


def _print(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)
