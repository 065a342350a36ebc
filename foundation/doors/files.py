"""Folders and files of this machine."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from foundation.errors import naming
from foundation.fingerprints import FileEntry

_BLOCK = 1 << 20


def read_file(path: Path) -> bytes:
    """The content of a file. Raises `FileAccessError`."""
    with naming(path):
        return path.read_bytes()


def list_files(path: Path) -> tuple[FileEntry, ...]:
    """Every file and link below a folder, sorted by name, or the one file that `path` is.

    What Python keeps beside its sources, also those of an installed package, is no part of them. Raises
    `FileAccessError`.
    """
    with naming(path):
        if path.is_file():
            return (_file_entry(path, path.name),)
        return tuple(sorted(_entries(path, path), key=lambda entry: entry.path))


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


def _entries(folder: Path, root: Path) -> Iterator[FileEntry]:
    with os.scandir(folder) as found:
        for entry in found:
            path = Path(entry.path)
            name = path.relative_to(root).as_posix()
            if entry.is_symlink():
                yield FileEntry(name, "120000", hashlib.sha256(os.fsencode(path.readlink())).hexdigest())
            elif entry.is_dir():
                yield from _entries(path, root) if entry.name != "__pycache__" else ()
            else:
                yield _file_entry(path, name)


def _file_entry(path: Path, name: str) -> FileEntry:
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
