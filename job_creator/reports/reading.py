"""Reads what reports are made from: generated pipelines, folders of runs, records of jobs, and their logs."""

from __future__ import annotations

import gzip
import zlib
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from foundation.doors.files import read_file
from foundation.errors import Fault, InvalidInputError, NotThereError, naming
from job_creator.builds.node_step import OUTCOMES, PACKAGES_VARIABLE, RECORDS
from job_creator.engines.gitlab.limits import check
from job_creator.engines.gitlab.names import HASH_VARIABLE
from job_creator.engines.gitlab.objects import expand
from job_creator.engines.gitlab.package_names import built_by
from job_creator.pipelines.packages import PlayedTree
from job_creator.reports.changes import Packages
from job_creator.reports.error_lines import first_error
from job_creator.reports.report import ReportedLimit
from job_creator.reports.schedules import PipelineTree
from job_creator.runs.folder import RunFolder
from job_creator.runs.records import StepRecord, latest, read_lines
from job_creator.site.gitlab import Limits

_LOG_BYTES: Final = 64 << 20
"""Of a log that are looked at; the first error of longer ones is not known."""
_RUN: Final = "run.json"


@dataclass
class RecordsFound:
    """What was read of a run; see `ran.RunFacts`."""

    records: dict[str, StepRecord] = field(default_factory=dict)
    edges: dict[str, frozenset[str]] | None = None
    named: dict[str, str] = field(default_factory=dict)
    present: int | None = None
    errors: dict[str, str] = field(default_factory=dict)


def tree_of(played: PlayedTree, after: Packages) -> PipelineTree:
    """Which packages of lockfiles the jobs of generated pipelines build.

    Raises `InvalidInputError` for a job whose package is in none of the lockfiles.
    """
    hashes = sorted(after)
    builds: dict[str, tuple[str, ...]] = {}
    for path, document in played.documents.items():
        for name, keywords in expand(document).items():
            letters = tuple(_hashes(name, keywords.get("variables") or {}))
            found = tuple(_beginning(one, hashes) for one in letters)
            if "" in found:
                fact = f"{name}: no lockfile has a package /{letters[found.index('')]}"
                hint = "give the lockfiles that this pipeline was generated from"
                raise InvalidInputError([Fault(path, 1, 1, fact, hint)])
            if found:
                builds[name] = found
    return PipelineTree(played.pipelines, played.root, builds)


def _beginning(letters: str, hashes: Sequence[str]) -> str:
    """The first of sorted hashes that begins with these letters; empty if none does."""
    place = bisect_left(hashes, letters)
    return hashes[place] if place < len(hashes) and hashes[place].startswith(letters) else ""


def _hashes(name: str, variables: Mapping[str, Any]) -> Iterator[str]:
    """The first letters of the DAG hashes of what a job builds."""
    found = built_by(name)
    if listed := str(variables.get(PACKAGES_VARIABLE, "")).split():
        yield from (one.rpartition("/")[2] for one in listed)
    elif HASH_VARIABLE in variables:
        yield str(variables[HASH_VARIABLE])
    elif found:
        yield found[1]


def limits_of(played: PlayedTree, limits: Limits) -> tuple[ReportedLimit, ...]:
    """How much of GitLab's limits each of the pipelines uses."""
    return tuple(
        ReportedLimit(path.rpartition("/")[2], room.name, room.used, room.limit)
        for path, document in played.documents.items()
        for room in check(document, limits).headroom
    )


def read_run(path: Path) -> RecordsFound:
    """What a run left: the folder of `jc build`, a file of records, or a folder with those of package jobs.

    Raises `NotThereError` where there are no records, `InvalidInputError` for what is none, `DamagedError`.
    """
    if (path / _RUN).is_file():
        return _of_build(RunFolder(path))
    files = _record_files(path)
    if not files:
        raise NotThereError(f"{path}: has no records of packages ({RECORDS}), and is no run of 'jc build'")
    found = RecordsFound()
    for file in files:
        own = _records(file)
        found.records |= own
        for key, record in own.items():
            if record.state == "failed" and (error := _error(_logs_beside(file, record))):
                found.errors[key] = error
    return found


def _record_files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    with naming(path):
        return sorted(path.rglob(RECORDS))


def _records(file: Path) -> dict[str, StepRecord]:
    try:
        return latest(read_lines(read_file(file)))
    except (ValueError, TypeError) as error:
        raise InvalidInputError([Fault(str(file), 1, 1, f"is no file of records: {error}")]) from None


def _of_build(folder: RunFolder) -> RecordsFound:
    steps = folder.run["steps"]
    records = folder.records()
    failed = {key: record for key, record in records.items() if record.state == "failed"}
    logs = {key: [folder.path / record.log] for key, record in failed.items() if record.log}
    return RecordsFound(
        records,
        dict(folder.edges),
        {key: f"{one['package']}@{one['version']}" for key, one in steps.items()},
        folder.run["present"],
        {key: error for key, paths in logs.items() if (error := _error(paths))},
    )


def _logs_beside(file: Path, record: StepRecord) -> list[Path]:
    """The logs that a package job keeps of a build, below the same artifacts as its records."""
    if file.parent.name != OUTCOMES:
        return []
    folder = file.parent.parent / "logs" / f"{record.package}-{record.hash[:7]}"
    return sorted(folder.rglob("spack-build-out.txt*"))


def _error(logs: list[Path]) -> str:
    """The first line of logs that tells of an error; what cannot be read counts as empty."""
    for path in logs:
        try:
            with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
                text = stream.read(_LOG_BYTES).decode("utf-8", "replace")
        except (OSError, EOFError, zlib.error):
            continue
        if error := first_error(text.splitlines()):
            return error
    return ""
