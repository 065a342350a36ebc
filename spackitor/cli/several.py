"""Several mirrors in one call: each is cleaned for itself, and one report tells of all."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from foundation.command_line import console, shown
from foundation.errors import CouldNotAskError, ExitCode, SpacktainersError
from foundation.shown import shown_size

if TYPE_CHECKING:
    from foundation.stores.store import Store
    from spackitor.commands import RunOutcome

_FROM_BAD_TO_WORSE: Final = (
    ExitCode.OK,
    ExitCode.NOT_THERE,
    ExitCode.COULD_NOT_ASK,
    ExitCode.CANNOT_ACCESS_FILE,
    ExitCode.REFUSED,
    ExitCode.DAMAGED,
)
"""What waits for somebody is worse than what the next run may find right again."""


@dataclass(frozen=True, slots=True)
class MirrorAddress:
    """A mirror to clean, its S3 server, and the age in days that counts for it; the one of the command line if none."""

    url: str
    endpoint: str | None = None
    max_age: float | None = None


@dataclass(frozen=True, slots=True)
class MirrorOutcome:
    """What became of one of several mirrors: what was planned and done, or why nothing could be."""

    url: str
    outcome: RunOutcome | None = None
    error: SpacktainersError | None = None

    @property
    def exit_code(self) -> ExitCode:
        """What cleaning this mirror alone would have ended with."""
        return ExitCode(self.error.exit_code) if self.error else ExitCode.OK

    def as_value(self) -> dict[str, Any]:
        """The outcome as JSON has it."""
        value: dict[str, Any] = {"mirror": self.url, "exit_code": int(self.exit_code)}
        value |= {"error": str(self.error)} if self.error else {}
        return value | (self.outcome.as_value() if self.outcome else {})


def addresses(mirrors: Iterable[str], endpoint: str | None, site_file: Path | None) -> tuple[MirrorAddress, ...]:
    """The mirrors that are named, and the build caches of a site file. Raises `InvalidInputError` for that."""
    found = {url: MirrorAddress(url, endpoint) for url in mirrors}
    if site_file:
        from foundation.doors.files import read_file
        from foundation.yaml_io import parse
        from job_creator.site.site import read_site

        site = read_site(parse(read_file(site_file), str(site_file)))
        for architecture in site.architectures.values():
            cache = architecture.build_cache
            for bucket in (cache, cache.of_branches()):
                here = MirrorAddress(bucket.url, endpoint or bucket.endpoint, float(bucket.max_age_days))
                found.setdefault(bucket.url, here)
    return tuple(found.values())


def clean_each(
    places: Iterable[MirrorAddress],
    open_one: Callable[[MirrorAddress], Store],
    clean_one: Callable[[MirrorAddress, Store], RunOutcome],
) -> tuple[MirrorOutcome, ...]:
    """Clean mirrors in turn; one that fails does not keep the others from it. All are opened before the first."""
    stores = [(place, _opened(open_one, place)) for place in places]
    return tuple(_cleaned(clean_one, place, store) for place, store in stores)


def _opened(open_one: Callable[[MirrorAddress], Store], place: MirrorAddress) -> Store | SpacktainersError:
    try:
        return open_one(place)
    except SpacktainersError as error:
        return error


def _cleaned(
    clean_one: Callable[[MirrorAddress, Store], RunOutcome], place: MirrorAddress, store: Store | SpacktainersError
) -> MirrorOutcome:
    if isinstance(store, SpacktainersError):
        return _told(MirrorOutcome(place.url, error=store))
    try:
        outcome = clean_one(place, store)
    except SpacktainersError as error:
        return _told(MirrorOutcome(place.url, error=error))
    report = outcome.report
    if report and report.failed:
        key, reason = next(iter(report.failed.items()))
        problem = f"{len(report.failed)} objects could not be deleted, such as {key}: {reason}"
        return _told(MirrorOutcome(place.url, outcome, CouldNotAskError(problem)))
    return MirrorOutcome(place.url, outcome)


def _told(outcome: MirrorOutcome) -> MirrorOutcome:
    if outcome.error:
        text = shown(outcome.error)
        place = "" if outcome.url in text else f"{outcome.url}: "
        click.echo(click.style("error: ", fg="red", bold=True) + place + text, err=True)
    return outcome


def worst(outcomes: Iterable[MirrorOutcome]) -> ExitCode:
    """The exit code for all of them."""
    codes = [one.exit_code for one in outcomes]
    known = max((code for code in codes if code in _FROM_BAD_TO_WORSE), key=_FROM_BAD_TO_WORSE.index, default=None)
    return next((code for code in codes if code not in _FROM_BAD_TO_WORSE), known or ExitCode.OK)


def totals(outcomes: Iterable[MirrorOutcome]) -> dict[str, int]:
    """The sums over all mirrors: how many there are and failed, their specs, those that go or went, and the bytes."""
    every = tuple(outcomes)
    plans = [one.outcome.plan for one in every if one.outcome]
    reports = [one.outcome.report for one in every if one.outcome and one.outcome.report]
    return {
        "mirrors": len(every),
        "failed": sum(one.error is not None for one in every),
        "total": sum(plan.total for plan in plans),
        "planned": sum(len(plan.removals) for plan in plans),
        "removed": sum(report.removed for report in reports),
        "bytes": sum(plan.total_size for plan in plans),
        "bytes_removed": sum(plan.size for plan in plans),
    }


def total_line(outcomes: Iterable[MirrorOutcome], things: str, *, is_dry_run: bool) -> str:
    """All mirrors in one line."""
    sums = totals(outcomes)
    failed = f", {sums['failed']} of them failed" if sums["failed"] else ""
    count, verb = (sums["planned"], "would go") if is_dry_run else (sums["removed"], "removed")
    sizes = f"{shown_size(sums['bytes_removed'])} of {shown_size(sums['bytes'])}"
    return f"{sums['mirrors']} mirrors{failed}: {count} of {sums['total']} {things} {verb}, {sizes}"


def tell(outcomes: Iterable[MirrorOutcome], things: str, *, is_dry_run: bool, as_json: bool) -> None:
    """Print what became of each mirror, and of all together."""
    from spackitor import report

    every = tuple(outcomes)
    if as_json:
        click.echo(json.dumps({"mirrors": [one.as_value() for one in every], "totals": totals(every)}, indent=2))
        return
    for one in every:
        if one.outcome:
            click.echo(f"{one.url}:")
            report.print_done(one.outcome, console())
    click.echo(total_line(every, things, is_dry_run=is_dry_run))
