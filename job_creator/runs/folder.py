"""The folder of a run: what workers read, what they leave, and what has become of each package so far.

    run.json            what is built, with what, by which engine; written once
    order.json          what workers are told (`scripts/templates/run_step.py`)
    program/            what runs on workers
    environments/NAME/  spack.yaml and spack.lock
    scope/              the configuration of Spack that names the build cache
    warm/               a user cache of Spack that workers copy
    steps/NAME-HASH/N/  attempt N of a package: log.txt, record.json, and what package jobs leave
    submitted.jsonl     which id an engine gave to which attempt
    records.jsonl       what became of each attempt (`records.StepRecord`)
    driver.lock         held by the process that drives the run

The two `.jsonl` are only ever appended to, a line at a time, so that whatever kills the driver loses at most the line
that it was writing; readers pass over half a line.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from foundation.doors.files import read_file, write_files
from foundation.errors import DamagedError, NotThereError, RefusedError, naming
from foundation.graph import Edges
from job_creator.builds.steps import Step
from job_creator.runs.records import StepRecord, latest, read_lines, record_of

RUN_FILE: Final = "run.json"
_RECORDS: Final = "records.jsonl"
_SUBMITTED: Final = "submitted.jsonl"
_LOCK: Final = "driver.lock"
_END_OF_LOG: Final = 1 << 16
"""Bytes of a log in which the cause of a failure is looked for."""


@dataclass(frozen=True)
class RunFolder:
    """One run, by its folder."""

    path: Path

    @cached_property
    def run(self) -> Mapping[str, Any]:
        """What is built and how. Raises `NotThereError`, and `DamagedError` for a file of somebody else."""
        if not (self.path / RUN_FILE).is_file():
            raise NotThereError(f"{self.path}: is no run of 'jc build'; it says where it keeps one when it starts")
        try:
            value = json.loads(read_file(self.path / RUN_FILE))
            return {**value, "steps": {one["hash"]: one for one in value["steps"]}}
        except (ValueError, KeyError, TypeError) as error:
            raise DamagedError(f"{self.path / RUN_FILE}: not laid out as expected: {error}") from None

    @property
    def edges(self) -> Edges:
        """What each package of the run waits for, by DAG hash. Raises what `run` does."""
        return {key: frozenset(one["needs"]) for key, one in self.run["steps"].items()}

    def create(self, run: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
        """Write what workers read, and last of all what makes it a run. Raises `RefusedError` if there is one."""
        if (self.path / RUN_FILE).exists():
            raise RefusedError(f"{self.path}: has a run in it already; name another folder with --run")
        write_files(self.path, files)
        write_files(self.path, {RUN_FILE: json.dumps(run).encode()})

    def attempt(self, step: Step, number: int) -> Path:
        """The folder of an attempt, which is made."""
        folder = self.path / "steps" / f"{step.package}-{step.hash}" / str(number)
        with naming(folder):
            folder.mkdir(parents=True, exist_ok=True)
        return folder

    def left_record(self, step: Step, number: int) -> StepRecord | None:
        """What an attempt's program wrote down; `None` if it did not come to that. Raises `DamagedError`."""
        folder = self.attempt(step, number)
        path = folder / "record.json"
        if not path.is_file():
            return None
        try:
            found = record_of(json.loads(read_file(path)))
        except (ValueError, TypeError) as error:
            raise DamagedError(f"{path}: is no record of a package: {error}") from None
        return replace(found, log=self.log_name(step, number))

    def log_name(self, step: Step, number: int) -> str:
        """The log of an attempt, below the folder of the run."""
        return (self.attempt(step, number) / "log.txt").relative_to(self.path).as_posix()

    def end_of_log(self, step: Step, number: int) -> str:
        """The last 64 KiB of an attempt's log."""
        path = self.attempt(step, number) / "log.txt"
        if not path.is_file():
            return ""
        with naming(path), path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - _END_OF_LOG))
            return stream.read().decode("utf-8", "replace")

    def add_record(self, record: StepRecord) -> None:
        """Note what became of an attempt."""
        self._append(_RECORDS, record.line())

    def add_submitted(self, hash_: str, attempt: int, id_: str) -> None:
        """Note which id an engine gave to an attempt."""
        self._append(_SUBMITTED, json.dumps({"hash": hash_, "attempt": attempt, "id": id_}))

    def records(self) -> dict[str, StepRecord]:
        """The last record of each package, by DAG hash. Raises `DamagedError`."""
        path = self.path / _RECORDS
        try:
            return latest(read_lines(read_file(path))) if path.is_file() else {}
        except (ValueError, TypeError) as error:
            raise DamagedError(f"{path}: is no file of records: {error}") from None

    def submitted(self) -> dict[str, tuple[int, str]]:
        """The last attempt of each package and its id, by DAG hash."""
        path = self.path / _SUBMITTED
        *lines, _ = read_file(path).split(b"\n") if path.is_file() else [b""]
        found = (json.loads(line) for line in lines)
        return {one["hash"]: (one["attempt"], one["id"]) for one in found}

    @contextmanager
    def driven(self) -> Iterator[None]:
        """Hold the run, so that nobody else drives it. Raises `RefusedError` if somebody does."""
        path = self.path / _LOCK
        with naming(path):
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise RefusedError(f"{self.path}: process {self.driver()} is at work on this run") from None
            os.truncate(handle, 0)
            os.write(handle, f"{os.getpid()}\n".encode())
            yield
        finally:
            os.close(handle)

    def driver(self) -> int | None:
        """The process on this machine that drives the run; `None` if there is none."""
        path = self.path / _LOCK
        if not path.is_file():
            return None
        with naming(path), path.open(encoding="utf-8") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                return int(stream.read().strip() or 0) or None
        return None

    def logs_of(self, package: str, attempt: int | None) -> Iterator[Path]:
        """The logs of a package, by its name or first letters of its hash; of its last attempt if none is named.

        Raises `NotThereError`.
        """
        submitted = self.submitted()
        steps = self.run["steps"]
        found = [key for key, one in steps.items() if package == one["package"] or key.startswith(package)]
        if not any(key in submitted for key in found):
            raise NotThereError(f"{package}: {'was not started' if found else 'is no package of this run'}")
        for key in found:
            number = attempt or submitted.get(key, (1, ""))[0]
            path = self.path / "steps" / f"{steps[key]['package']}-{key}" / str(number) / "log.txt"
            if not path.is_file():
                raise NotThereError(f"{path}: no such log")
            yield path

    def _append(self, name: str, line: str) -> None:
        """One write to the end of a file: two of them never mix."""
        path = self.path / name
        with naming(path):
            handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                os.write(handle, f"{line}\n".encode())
            finally:
                os.close(handle)
