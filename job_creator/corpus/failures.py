"""What a corpus lacks, and why: specs without a solution, and packages that were not built. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final

from job_creator.package_lists.folder import LockFailure
from job_creator.runs.report import BuildReport, record_line

_MOST_LETTERS: Final = 160
"""Of a message of Spack, where people read it."""


@dataclass(frozen=True, slots=True)
class CorpusFailures:
    """The failures of some folders of lockfiles and of some runs."""

    locks: tuple[LockFailure, ...]
    runs: tuple[tuple[str, BuildReport], ...]
    """Each with the folder of the run."""

    @property
    def classes(self) -> dict[str, int]:
        """How many there are of each class, the most frequent first: of specs, then of packages."""
        counts: dict[str, int] = {}
        kinds = [one.kind for one in self.locks]
        kinds += [record.failure for _, report in self.runs for record in report.records if not record.is_there]
        for kind in kinds:
            counts[kind] = counts.get(kind, 0) + 1
        return dict(sorted(counts.items(), key=lambda one: (-one[1], one[0])))


def failure_lines(found: CorpusFailures) -> Iterator[str]:
    """What failed, for people: what keeps most others from being built first."""
    yield ", ".join(f"{count} {kind}" for kind, count in found.classes.items()) or "nothing failed"
    for failure in found.locks:
        message = " ".join(failure.message.split())[:_MOST_LETTERS]
        yield f"not concretized  {' '.join(failure.specs)} [{failure.kind}]: {message}"
    for folder, report in found.runs:
        for blocker in report.blockers:
            others = f"; keeps {blocker.blocked} from being built" if blocker.blocked else ""
            yield f"{record_line(blocker.record)}{others}"
            if blocker.record.log:
                yield f"        {folder}/{blocker.record.log}"


def failures_value(found: CorpusFailures) -> dict[str, Any]:
    """The same for programs."""
    return {
        "classes": found.classes,
        "not_concretized": [_lock_value(one) for one in found.locks],
        "not_built": [
            {**asdict(blocker.record), "run": folder, "blocked": blocker.blocked}
            for folder, report in found.runs
            for blocker in report.blockers
        ],
        "skipped": list(_skipped(report for _, report in found.runs)),
    }


def _lock_value(failure: LockFailure) -> dict[str, Any]:
    return {
        "name": failure.name,
        "specs": list(failure.specs),
        "class": failure.kind,
        "message": failure.message,
    }


def _skipped(reports: Iterable[BuildReport]) -> Iterator[dict[str, str]]:
    for report in reports:
        for record in report.records:
            if record.state == "skipped":
                yield {"hash": record.hash, "package": record.package, "because": record.because}
