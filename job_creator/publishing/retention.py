"""Which published files go, and why: old versions that a newer one supersedes, and what deleted branches left.

Both look at records only. A file name is never taken apart: branch names hold whatever separates its parts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from job_creator.publishing.record import PublicationRecord
from job_creator.site.places import Retention

JUDGED_REFS: Final = ("refs/heads/", "refs/tags/")
"""What a remote lists its branches and tags under; of other refs (merge requests) nobody knows whether they live."""
FEW: Final = 5
"""So many files may always go."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A record and the place that it was found at: an S3 key or the path of a file."""

    place: str
    record: PublicationRecord
    is_marker: bool = False
    """Whether this is only the note that a cluster has the file, without the file's content."""


@dataclass(frozen=True, slots=True)
class SifRemoval:
    """Something that goes, and why."""

    placed: Placed
    reason: str
    links_only: bool = False
    """Whether the file itself stays for now, since a job may run from it."""


def superseded(placed: Iterable[Placed], newest: Placed, retention: Retention, now: datetime) -> tuple[SifRemoval, ...]:
    """The old versions of `newest` that are beyond the newest `keep` (it included) and older than the days as well.

    Only the same container, architecture, ref and kind count: a branch can never remove a release, nor another
    branch's files. Outside CI there is no ref, and nothing goes; nor does what has no date.
    """
    line, limit = _line(newest.record), now - timedelta(days=retention.older_than_days)
    if not newest.record.ref:
        return ()
    dated = [
        (published, one)
        for one in placed
        if _line(one.record) == line
        and one.place != newest.place
        and (published := one.record.published_at) is not None
    ]
    dated.sort(key=lambda pair: (pair[0], pair[1].place), reverse=True)
    return tuple(
        SifRemoval(one, f"published {one.record.published}, and number {number + 1} of {one.record.ref}")
        for number, (published, one) in enumerate(dated, start=1)
        if number >= retention.keep and published < limit
    )


def deleted_branches(placed: Iterable[Placed], live_refs: Collection[str], default_ref: str) -> tuple[SifRemoval, ...]:
    """What was recorded for a branch or tag that is no longer there; names are compared as they are, to the letter.

    Releases stay, and so does everything of the default branch and of no known ref.
    """
    return tuple(
        SifRemoval(one, f"{one.record.ref} is gone")
        for one in placed
        if _is_of_a_branch(one.record, default_ref) and one.record.ref not in live_refs
    )


def is_too_much(
    removals: Sequence[SifRemoval], placed: Iterable[Placed], default_ref: str, most_percent: float
) -> bool:
    """Whether more than `FEW` files and more than that share of all files of branches would go, without the markers."""
    branches = sum(_is_of_a_branch(one.record, default_ref) for one in placed if not one.is_marker)
    going = sum(not removal.placed.is_marker for removal in removals)
    return going > FEW and going * 100 > branches * most_percent


def _line(record: PublicationRecord) -> tuple[str, str, str, bool]:
    """What versions of one container follow each other in."""
    return record.container, record.architecture, record.ref, record.is_release


def _is_of_a_branch(record: PublicationRecord, default_ref: str) -> bool:
    return not record.is_release and record.ref != default_ref and record.ref.startswith(JUDGED_REFS)
