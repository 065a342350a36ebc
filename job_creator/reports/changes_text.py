"""Differences between lockfiles as people read them: in a terminal, or in a merge request. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from foundation.shown import shown_duration
from job_creator.reports.changes import LockChanges, LockedPackage, RootCause

HEADINGS: Final = ("package", "what changed", "packages that follow")
_LISTED: Final = 20
"""Names of a kind that are told; of more, how many there are."""


def rows(changes: LockChanges) -> list[tuple[str, str, str]]:
    """A row for each package that changed for its own sake."""
    return [(_named(cause), "; ".join(map(str, cause.change.traits)), str(cause.followers)) for cause in changes.causes]


def summary(changes: LockChanges, *, tells_work: bool = True) -> Iterator[str]:
    """What the table does not say, a line each; `tells_work` if nobody knows what a build cache has of it already."""
    own, others = len(changes.causes), len(changes.followers)
    if not (own or others or changes.added or changes.removed):
        yield f"nothing changes: {changes.unchanged} packages are the same"
        return
    yield (
        f"{own + others} packages change, {own} for their own sake and {others} because of something below them; "
        f"{len(changes.added)} are added, {len(changes.removed)} removed, {changes.unchanged} the same"
    )
    if tells_work:
        yield (
            f"{changes.to_build} to build: {shown_duration(changes.work_seconds)} of work, "
            f"{shown_duration(changes.longest_seconds)} with any number of runners (expected, not measured)"
        )
    for what, packages in (("added", changes.added), ("removed", changes.removed)):
        if packages:
            yield f"{what}: {_listed(packages)}"


def markdown(changes: LockChanges) -> str:
    """All of it for a merge request: the summary, and a table if there is something for it."""
    lines = [f"{line}  " for line in summary(changes)]
    if changes.causes:
        table = [HEADINGS, ("---", "---", "---:"), *(tuple(map(escaped, row)) for row in rows(changes))]
        lines += ["", *(f"| {' | '.join(row)} |" for row in table)]
    return "\n".join(lines) + "\n"


def _named(cause: RootCause) -> str:
    return f"{cause.change.after.name} /{cause.change.after.node.hash[:7]}"


def _listed(packages: Sequence[LockedPackage]) -> str:
    names = [package.name for package in packages[:_LISTED]]
    more = [f"and {len(packages) - _LISTED} more"] if len(packages) > _LISTED else []
    return ", ".join((*names, *more))


def escaped(cell: str) -> str:
    """Text that no table of Markdown takes for its own signs; values of variants may hold any."""
    return "".join(f"\\{sign}" if sign in "\\`*_[]<>|~" else sign for sign in cell)
