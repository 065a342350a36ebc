"""What deleted branches left in buckets and on clusters, and which branches there are."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from foundation.doors.files import read_file
from foundation.errors import Fault, InvalidInputError, NotThereError, RefusedError
from job_creator.publishing.places import PublishingPlace
from job_creator.publishing.retention import SifRemoval, deleted_branches, is_too_much

HEADS: Final = "refs/heads/"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CleanPlan:
    """What goes from one place."""

    place: PublishingPlace
    removals: tuple[SifRemoval, ...]
    on_record: int
    """How many files and markers were looked at."""


def make_plan(
    places: Iterable[PublishingPlace], live_refs: Collection[str], default_ref: str, most_percent: float
) -> tuple[CleanPlan, ...]:
    """Plan for all places. Raises `RefusedError` if suspiciously much would go, and what listing the places raises."""
    return tuple(_plan(place, live_refs, default_ref, most_percent) for place in places)


def clean(plans: Sequence[CleanPlan]) -> None:
    """Do what was planned. Raises `CouldNotAskError` and `FileAccessError`."""
    for plan in plans:
        removed = plan.place.remove(plan.removals) if plan.removals else 0
        logger.info("%s: %d of %d removed", plan.place.name, removed, plan.on_record)


def require_plausible(live_refs: Collection[str], default_ref: str, source: str) -> None:
    """Raises `NotThereError` unless the default branch is among the refs: an empty answer is not "all are gone"."""
    if default_ref not in live_refs:
        found = f"{len(live_refs)} refs, but not {default_ref}" if live_refs else "no refs at all"
        raise NotThereError(f"{source}: has {found}, so it does not say which branches live; is it the right one?")


def read_refs(path: Path) -> frozenset[str]:
    """The refs that a file lists, one full name per line. Raises `InvalidInputError` and `FileAccessError`."""
    try:
        # Not splitlines: names of refs may hold what Unicode calls the end of a line.
        lines = [line.removesuffix("\r") for line in read_file(path).decode().split("\n")]
    except UnicodeDecodeError as error:
        raise InvalidInputError([Fault(str(path), 1, 1, f"is no UTF-8: {error.reason}")]) from None
    faults = [
        Fault(str(path), number, 1, f"{line!r} is no full ref", "write refs/heads/<branch> or refs/tags/<tag>")
        for number, line in enumerate(lines, start=1)
        if line and not line.startswith("refs/")
    ]
    if faults:
        raise InvalidInputError(faults)
    return frozenset(line for line in lines if line)


def _plan(place: PublishingPlace, live_refs: Collection[str], default_ref: str, most_percent: float) -> CleanPlan:
    placed = place.placed()
    removals = deleted_branches(placed, live_refs, default_ref)
    if is_too_much(removals, placed, default_ref, most_percent):
        raise RefusedError(
            f"{place.name}: {sum(not one.placed.is_marker for one in removals)} files would go, more than "
            f"{most_percent:g} % of all that were built on branches; if so many branches are gone, say --max-delete 100"
        )
    return CleanPlan(place, place.possible(removals), len(placed))
