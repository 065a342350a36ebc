"""The folder of a cluster that SIF files are installed in.

    <folder>/<container>/<container>__<tag>.<12 digits of its sha256>.sif        the file; never changed afterwards
    <folder>/<container>/<container>__<tag>.<12 digits of its sha256>.sif.json   its record
    <folder>/<container>/<container>__<tag>.<12 digits of its sha256>.sif.json.asc   the signature of the record, if any
    <folder>/<container>/<container>__<tag>.sif                                  a link that follows the tag
    <folder>/<container>/current                                                 a link to the newest release

A file gets its name when it is whole, after its record; links change by a rename. So whoever opens one of these names
gets a whole file at any time, and a record without a file is what an interrupted run left.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final

from foundation.errors import DamagedError, FileAccessError, InvalidInputError, RefusedError, naming
from job_creator.publishing.record import PublicationRecord

CURRENT: Final = "current"
TEMPORARY: Final = ".installing."
_RECORD: Final = ".json"
_SIGNATURE: Final = ".json.asc"
_BLOCK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Installed:
    """A file of the folder with its record, and the names of the links beside it that point to it."""

    path: Path
    record: PublicationRecord
    links: frozenset[str]
    free_since: datetime
    """When the last link to it went, or it was installed. It is the time of its record."""


@dataclass(frozen=True, slots=True)
class Modes:
    """The permissions of what is made here, whatever the umask. Group and setgid come from the folder above."""

    folder: int = 0o755
    file: int = 0o755

    @property
    def record(self) -> int:
        """Of what lies beside a file and is not run."""
        return self.file & ~0o111


USUAL_MODES: Final = Modes()


def path_of(root: Path, record: PublicationRecord) -> Path:
    """Where the file that a record describes is installed."""
    return root / record.container / f"{record.file_name.removesuffix('.sif')}.{record.sha256[:12]}.sif"


def installed(folder: Path) -> tuple[Installed, ...]:
    """The files of one container's folder that have a record, sorted by name. Raises `FileAccessError`.

    A file counts as ours only under the name that its record gives it.
    """
    with naming(folder):
        if not folder.is_dir():
            return ()
        links = {path.name: _target(path) for path in folder.iterdir() if path.is_symlink()}
        records = {path: _read_record(path) for path in sorted(folder.glob(f"*.sif{_RECORD}"))}
    found = {path.with_name(path.name.removesuffix(_RECORD)): pair for path, pair in records.items() if pair}
    return tuple(
        Installed(path, record, frozenset(name for name, target in links.items() if target == path.name), time)
        for path, (record, time) in found.items()
        if path == path_of(folder.parent, record)
    )


def is_whole(one: Installed) -> bool:
    """Whether the file is there in its full length. Raises `FileAccessError`."""
    with naming(one.path):
        return one.path.is_file() and one.path.stat().st_size == one.record.size


def sha256_of(path: Path) -> str:
    """The sha256 of a file's content. Raises `FileAccessError`."""
    digest = hashlib.sha256()
    with naming(path), path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def require_space(folder: Path, size: int) -> None:
    """Raises `FileAccessError` unless so many bytes fit into the nearest existing folder."""
    with naming(folder):
        existing = next(path for path in (folder, *folder.parents) if path.exists())
        free = shutil.disk_usage(existing).free
    if free < size:
        raise FileAccessError(f"{folder}: {size:,} bytes are needed and {free:,} are free; make room")


def require_own_links(folder: Path, names: frozenset[str]) -> None:
    """Raises `RefusedError` if one of the links to set is a file or folder of someone else's."""
    for name in sorted(names):
        path = folder / name
        with naming(path):
            foreign = path.exists() and not path.is_symlink()
        if foreign:
            raise RefusedError(f"{path}: is no link, and would be replaced by one; move it away")


def install(path: Path, record: PublicationRecord, modes: Modes, write: Callable[[int], None]) -> None:
    """Let `write` fill a temporary file, given its descriptor, and name it when it has the size and sha256 recorded.

    Raises `FileAccessError`, `DamagedError` and what `write` raises.
    """
    _make_folders(path.parent, modes)
    with naming(path, always=True), _temporary(path) as temporary:
        with _new(temporary) as stream:
            write(stream.fileno())
            os.fsync(stream.fileno())
        size, digest = temporary.stat().st_size, sha256_of(temporary)
        if (size, digest) != (record.size, record.sha256):
            raise DamagedError(
                f"{path}: {size} bytes with sha256 {digest} arrived, "
                f"not {record.size} with {record.sha256}; run this again, or publish the file anew"
            )
        temporary.chmod(modes.file)
        write_record(path, record, modes)
        temporary.rename(path)
        _sync(path.parent)


def write_record(path: Path, record: PublicationRecord, modes: Modes) -> None:
    """Write the record of a file beside it. Raises `FileAccessError`."""
    write_beside(_record_of(path), record.to_json().encode(), modes)


def write_signature(path: Path, signature: bytes, modes: Modes) -> None:
    """Write the signature of a file's record beside it, or take away the one of another. Raises `FileAccessError`."""
    if signature:
        write_beside(_signature_of(path), signature, modes)
    else:
        remove_paths(_signatures(path))


def write_beside(target: Path, content: bytes, modes: Modes) -> None:
    """Write a small file, whole or not at all. Raises `FileAccessError`."""
    with naming(target, always=True), _temporary(target) as temporary:
        with _new(temporary) as stream:
            stream.write(content)
            os.fsync(stream.fileno())
        temporary.chmod(modes.record)
        temporary.rename(target)


def point(link: Path, target: str) -> None:
    """Let a link point to a file beside it, from one moment to the next. Raises `FileAccessError`."""
    with naming(link, always=True):
        if link.is_symlink() and str(link.readlink()) == target:
            return
        with _temporary(link) as temporary:
            temporary.symlink_to(target)
            temporary.rename(link)


def leave(ones: Iterable[Installed], now: datetime) -> None:
    """Note that links to these files are about to go. Raises `FileAccessError`."""
    for one in ones:
        record = _record_of(one.path)
        with naming(record), suppress(FileNotFoundError):
            os.utime(record, (now.timestamp(), now.timestamp()))


def unlink(one: Installed, now: datetime) -> None:
    """Remove the links to a file. Raises `FileAccessError`."""
    if one.links:
        leave([one], now)
    remove_paths(one.path.with_name(name) for name in sorted(one.links))


def remove(one: Installed) -> None:
    """Remove a file that no link leads to, and its record last: as long as that is there, another run can go on."""
    remove_paths((one.path, *_signatures(one.path), _record_of(one.path)))


def left_overs(folder: Path, before: datetime) -> tuple[Path, ...]:
    """What runs that ended half-way left: temporary files, records and signatures without a file, from before a time.

    Raises `FileAccessError`.
    """
    with naming(folder):
        temporary = folder.glob(f"{TEMPORARY}*")
        records = (path for path in folder.glob(f"*.sif{_RECORD}") if not path.with_suffix("").exists())
        signatures = (path for path in folder.glob(f"*.sif{_SIGNATURE}") if not _signed_file(path).exists())
        found = sorted((*temporary, *records, *signatures)) if folder.is_dir() else []
        return tuple(path for path in found if path.lstat().st_mtime < before.timestamp())


def remove_paths(paths: Iterable[Path]) -> None:
    """Remove files; those that are gone already are fine. Raises `FileAccessError`."""
    for path in paths:
        with naming(path):
            path.unlink(missing_ok=True)


def _make_folders(folder: Path, modes: Modes) -> None:
    with naming(folder):
        missing = [path for path in (folder, *folder.parents) if not path.exists()]
        # A change of the mode would take away setgid from who is not of the group, and come too late.
        umask = os.umask(0)
        try:
            for path in reversed(missing):
                path.mkdir(modes.folder, exist_ok=True)
        finally:
            os.umask(umask)
        folder.mkdir(exist_ok=True)


def _new(path: Path) -> BinaryIO:
    """A new file that nobody else can open before it is whole, whatever the umask."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb", buffering=0)


@contextmanager
def _temporary(path: Path) -> Iterator[Path]:
    """A name beside `path` that nobody else uses; what has it in the end is removed."""
    temporary = path.with_name(f"{TEMPORARY}{path.name}.{secrets.token_hex(8)}")
    try:
        yield temporary
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _record_of(path: Path) -> Path:
    return path.with_name(path.name + _RECORD)


def _signature_of(path: Path) -> Path:
    return path.with_name(path.name + _SIGNATURE)


def _signatures(path: Path) -> tuple[Path, ...]:
    """The signature of a file's record, if there is one."""
    signature = _signature_of(path)
    return (signature,) if signature.exists() else ()


def _signed_file(signature: Path) -> Path:
    return signature.with_name(signature.name.removesuffix(_SIGNATURE))


def _read_record(path: Path) -> tuple[PublicationRecord, datetime] | None:
    try:
        time = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        return PublicationRecord.from_json(path.read_bytes(), str(path)), time
    except (InvalidInputError, FileNotFoundError):
        return None


def _target(link: Path) -> str:
    """The name of the file beside a link that it leads to, over other links if need be; empty if it leads elsewhere."""
    try:
        target = link.resolve()
    except RuntimeError:  # links that lead to each other
        return ""
    return target.name if target.parent == link.parent.resolve() else ""


def _sync(folder: Path) -> None:
    """Make renames in a folder last."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
