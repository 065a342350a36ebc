"""What a mirror in a folder holds, and the bytes of its files. Nothing is changed here."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from job_creator.errors import NotReadyError, NotThereError, RefusedError, naming
from job_creator.mirrors.carried import is_carried, why_no_key, why_no_link

Progress = Callable[[int], None]
"""Is told of bytes as they are done with."""

_BLOCK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Seen:
    """What tells whether a file was changed: size, time of the last change in nanoseconds, and inode."""

    size: int
    modified: int
    inode: int


@dataclass(frozen=True)
class Survey:
    """What is in a mirror: files, links with what they lead to, and folders that are empty."""

    files: Mapping[str, Seen] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    folders: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """The bytes of all files."""
        return sum(seen.size for seen in self.files.values())


def look(root: Path) -> Survey:
    """What is in a mirror.

    Raises `NotThereError`, `FileAccessError`, `NotReadyError` while it is being changed, and `RefusedError` for what no
    bundle can carry.
    """
    if not root.is_dir():
        raise NotThereError(f"{root}: no such folder")
    files: dict[str, Seen] = {}
    links: dict[str, str] = {}
    folders: list[str] = []
    with naming(root):
        try:
            for key, status in _walk(root, ""):
                if reason := why_no_key(key):
                    raise RefusedError(f"{root}: {key!r} {reason}, so no bundle can carry it; rename or remove it")
                if stat.S_ISLNK(status.st_mode):
                    links[key] = str((root / key).readlink())
                    if reason := why_no_link(key, links[key]):
                        raise RefusedError(f"{root / key}: {reason}; put the file itself there")
                elif stat.S_ISDIR(status.st_mode):
                    folders.append(key)
                elif stat.S_ISREG(status.st_mode):
                    files[key] = Seen(status.st_size, status.st_mtime_ns, status.st_ino)
                else:
                    raise RefusedError(f"{root / key}: neither file, folder nor link, so no bundle can carry it")
        except FileNotFoundError:
            raise NotReadyError(changed(root)) from None
    return Survey(files, links, tuple(folders))


def changed(place: Path) -> str:
    """What to say when a mirror does not hold still."""
    return f"{place}: changed while it was read; run this again when nobody writes to the mirror"


def read(path: Path, start: int = 0, size: int | None = None) -> Iterator[bytes]:
    """So many bytes of a file, or all of them. Raises `EOFError` if there are fewer; links are not followed."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    with os.fdopen(descriptor, "rb", buffering=0) as stream:
        stream.seek(start)
        while size is None or size > 0:
            block = stream.read(_BLOCK if size is None else min(size, _BLOCK))
            if not block and size is None:
                return
            if not block:
                raise EOFError(str(path))
            size = None if size is None else size - len(block)
            yield block


def sha256(path: Path, progress: Progress = lambda _: None) -> str:
    """The checksum of a file."""
    digest = hashlib.sha256()
    for block in read(path):
        digest.update(block)
        progress(len(block))
    return digest.hexdigest()


def _walk(root: Path, folder: str) -> Iterator[tuple[str, os.stat_result]]:
    """Everything in a mirror that is carried; of folders those that are empty."""
    with os.scandir(root / folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        key = f"{folder}{entry.name}"
        if not is_carried(key) or not is_carried(f"{key}/"):
            continue
        if not entry.is_dir(follow_symlinks=False):
            yield key, entry.stat(follow_symlinks=False)
            continue
        inner = list(_walk(root, f"{key}/"))
        yield from inner
        # Of a folder of which nothing is carried nobody misses anything; it is not an empty one.
        if not inner and not any((root / key).iterdir()):
            yield key, entry.stat(follow_symlinks=False)
