"""Folders and files of this machine."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from foundation.errors import FileAccessError, naming
from foundation.fingerprints import FileEntry

_BLOCK = 1 << 20


def read_file(path: Path) -> bytes:
    """The content of a file. Raises `FileAccessError`."""
    with naming(path):
        return path.read_bytes()


def list_files(path: Path) -> tuple[FileEntry, ...]:
    """Every file, link and empty folder below a folder, sorted by name, or the one file that `path` is.

    What Python keeps beside its sources, also those of an installed package, is no part of them. Raises
    `FileAccessError`, also for pipes, sockets and devices.
    """
    with naming(path):
        if path.is_file():
            return (_file_entry(path, path.name),)
        return tuple(sorted(_entries(path, path), key=lambda entry: entry.path))


def strange_entries(path: Path) -> Iterator[tuple[Path, str]]:
    """What cannot be copied as it is from a folder, or the one file that `path` is, each with the reason.

    That is a link that leads out of the folder, by whatever way, or to nothing; and a pipe, a socket or a device.
    """
    with naming(path):
        # Not `resolve`, which does not take circles.
        whole = Path(os.path.realpath(path))
        for entry in [path, *sorted(path.rglob("*"))] if path.is_dir() else [path]:
            if entry.is_symlink():
                leads_to = Path(os.path.realpath(entry))
                if entry.readlink().is_absolute() or not leads_to.is_relative_to(whole):
                    yield entry, f"leads to {entry.readlink()}, which is not copied with it"
                elif not os.path.exists(entry):  # noqa: PTH110 - does take circles
                    yield entry, f"leads to {entry.readlink()}, which is not there"
            elif not entry.is_file() and not entry.is_dir():
                yield entry, "is neither a file nor a folder"


def write_files(folder: Path, files: Mapping[str, bytes], stale: str = "") -> None:
    """Write files by name into a folder, which is made if need be; each appears whole or not at all.

    Files that match the glob `stale` and are not written now are left-overs of an earlier run, and are removed.
    Raises `FileAccessError`.
    """
    with naming(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            _write(folder / name, content)
        for path in folder.glob(stale) if stale else ():
            if path.name not in files:
                path.unlink()


def append_line(path: Path, text: str) -> None:
    """Write a line at the end of a file, which is made if need be, at once. Raises `FileAccessError`."""
    with naming(path), path.open("ab", buffering=0) as stream:
        stream.write(f"{text}\n".encode())


def _entries(folder: Path, root: Path) -> Iterator[FileEntry]:
    is_empty = True
    with os.scandir(folder) as found:
        for entry in found:
            is_empty = False
            if entry.name == "__pycache__":
                continue
            path = Path(entry.path)
            name = path.relative_to(root).as_posix()
            if entry.is_symlink():
                yield FileEntry(name, "120000", hashlib.sha256(os.fsencode(path.readlink())).hexdigest())
            elif entry.is_dir():
                yield from _entries(path, root)
            else:
                yield _file_entry(path, name)
    if is_empty:
        yield FileEntry(folder.relative_to(root).as_posix(), "040000", hashlib.sha256().hexdigest())


def _file_entry(path: Path, name: str) -> FileEntry:
    if not path.is_file():
        raise FileAccessError(f"{path}: is neither a file nor a folder")
    mode = "100755" if path.stat().st_mode & 0o100 else "100644"
    return FileEntry(name, mode, _sha256(path))


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _write(path: Path, content: bytes) -> None:
    with naming(path, always=True):
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(content)
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(path)
        except BaseException:
            temporary.unlink()
            raise


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
