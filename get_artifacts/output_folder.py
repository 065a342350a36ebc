"""The folder that artifacts are put into, and what `ga` remembers of it, in `.ga`.

For everything that is put there a record says which job it is from. What has no record is not from `ga`, and is never
replaced. A record is written before what it describes appears, so that whatever a run that was killed leaves, the next
one knows it as its own, and finds out by the checksums whether it is complete.

Records are lines of JSON in one file, of which the last about something counts. Each is appended by one write; half a
line that a run left which was killed in between is taken away by the next one.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from foundation.doors.files import write_files
from foundation.errors import RefusedError, naming
from foundation.stores.documents import json_of
from get_artifacts.archives import Unpacked, crc_of
from get_artifacts.selection import Archive

_MEMORY: Final = ".ga"
_RECORDS: Final = "records.jsonl"


@dataclass(frozen=True, slots=True)
class OutputFolder:
    """An output folder that nobody else is working in."""

    out_dir: Path
    _records: dict[str, dict[str, Any]]
    """What is remembered, by the name of what it is about."""
    _journal: int
    """The file of the records, opened for appending."""

    def staging(self, name: str) -> Path:
        """Where something is made before it appears; gone at the end of the run."""
        return self.out_dir / _MEMORY / "staging" / name

    def path_of(self, item: Archive, *, unpacked: bool) -> Path:
        """Where an artifact goes."""
        return self.out_dir / (item.folder if unpacked else f"{item.folder}.zip")

    def unpacked_before(self, item: Archive) -> tuple[Unpacked, ...] | None:
        """The files of an artifact, if they are there already, from the same job and as it left them."""
        path = self.path_of(item, unpacked=True)
        record = self._record(path)
        if record is None or record.get("about") != _about(item, unpacked=True):
            return None
        files = tuple(Unpacked(**file) for file in record["files"])
        try:
            there = {one.relative_to(path).as_posix() for one in path.rglob("*") if one.is_symlink() or one.is_file()}
            intact = there == {file.name for file in files} and all(crc_of(path / one.name) == one.crc for one in files)
        except OSError:
            return None
        return files if intact else None

    def archive_before(self, item: Archive) -> bool:
        """Whether an archive is there already, from the same job and of the right size; not whether it is intact."""
        path = self.path_of(item, unpacked=False)
        record = self._record(path)
        if record is None or record.get("about") != _about(item, unpacked=False):
            return False
        return path.is_file() and path.stat().st_size == item.job.archive_bytes and zipfile.is_zipfile(path)

    def publish(self, item: Archive, staged: Path, files: tuple[Unpacked, ...] | None) -> Path:
        """Let what is staged appear, a folder with `files` or an archive, in the place of what was there before.

        Raises `RefusedError` when `ga` did not put that there, and `FileAccessError`.
        """
        path = self.path_of(item, unpacked=files is not None)
        if self._record(path) is None and _is_something(path):
            raise RefusedError(f"{path}: is there, but not from ga; move it away or choose another --out-dir")
        about = _about(item, unpacked=files is not None)
        self._remember({"name": path.name, "about": about, "files": [asdict(file) for file in files or ()]})
        with naming(path, always=True):
            if files is not None and (path.exists() or path.is_symlink()):
                path.rename(self.staging(f"old {path.name}"))
            staged.rename(path)
        return path

    def _record(self, path: Path) -> dict[str, Any] | None:
        return self._records.get(path.name)

    def _remember(self, record: dict[str, Any]) -> None:
        line = json.dumps(record).encode() + b"\n"
        with naming(self.out_dir / _MEMORY / _RECORDS, always=True):
            if os.write(self._journal, line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._records[record["name"]] = record


@contextmanager
def opened(out_dir: Path) -> Iterator[OutputFolder]:
    """The store in a folder, which is made if need be; half-made things of this and earlier runs are removed.

    Raises `RefusedError` while another run works there, `FileAccessError`.
    """
    memory = out_dir / _MEMORY
    staging = memory / "staging"
    with naming(out_dir):
        staging.mkdir(parents=True, exist_ok=True)
        (memory / ".gitignore").write_text("*\n", encoding="utf-8")
        lock = (memory / "lock").open("wb")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RefusedError(f"{out_dir}: another ga is at work there; wait, or choose another --out-dir") from None
        ended = memory / "ended"
        shutil.rmtree(ended, ignore_errors=True)
        shutil.rmtree(staging)
        staging.mkdir()
        try:
            with _journal(memory) as (records, journal):
                yield OutputFolder(out_dir, records, journal)
        finally:
            # Whoever was interrupted does not wait for its threads: under this name they find no folder to write to.
            with contextlib.suppress(OSError):
                staging = staging.rename(ended)
            shutil.rmtree(staging, ignore_errors=True)


@contextmanager
def _journal(memory: Path) -> Iterator[tuple[dict[str, dict[str, Any]], int]]:
    """What is on record, and the file that more is appended to; of lines that no longer count it is rid before."""
    path = memory / _RECORDS
    with naming(path, always=True):
        lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    records = {record["name"]: record for record in map(_record, lines) if record is not None}
    if len(records) != len(lines):
        write_files(memory, {_RECORDS: b"".join(json.dumps(one).encode() + b"\n" for one in records.values())})
    with naming(path, always=True):
        stream = path.open("ab", buffering=0)
    with stream:
        yield records, stream.fileno()


def _record(line: bytes) -> dict[str, Any] | None:
    """A line of the file of records, if it is whole."""
    try:
        record = json_of(line) if line.endswith(b"\n") else None
    except ValueError:
        return None
    fields = {"name": str, "about": dict, "files": list}
    is_record = isinstance(record, dict) and all(isinstance(record.get(key), kind) for key, kind in fields.items())
    return record if is_record else None


def _about(item: Archive, *, unpacked: bool) -> dict[str, Any]:
    """What makes two artifacts the same. Ids of jobs are never used again; paths matter where something is left out."""
    paths = list(item.paths) if unpacked else []
    return {"job": item.job.id, "pipeline": item.job.pipeline.pipeline, "bytes": item.job.archive_bytes, "paths": paths}


def _is_something(path: Path) -> bool:
    if path.is_dir() and not path.is_symlink():
        return any(path.iterdir())
    return path.exists() or path.is_symlink()
