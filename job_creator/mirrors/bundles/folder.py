"""What a mirror in a folder holds, and the bytes of its files. Nothing is changed here."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from foundation.errors import NotReadyError, NotThereError, RefusedError, naming
from job_creator.mirrors.contents import is_carried, why_no_key, why_no_link


@dataclass(frozen=True, slots=True)
class Seen:
    """What tells whether a file was changed: size, time of the last change in nanoseconds, and inode."""

    size: int
    modified: int
    inode: int


@dataclass(frozen=True)
class FolderSurvey:
    """What is in a mirror: files, links with what they lead to, and folders that are empty."""

    files: Mapping[str, Seen] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    folders: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """The bytes of all files."""
        return sum(seen.size for seen in self.files.values())


def look(root: Path) -> FolderSurvey:
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
    if not files:
        raise NotThereError(f"{root}: there is nothing in it that a bundle could carry; is it the right folder?")
    return FolderSurvey(files, links, tuple(folders))


def changed(place: Path) -> str:
    """What to say when a mirror does not hold still."""
    return f"{place}: changed while it was read; run this again when nobody writes to the mirror"


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
