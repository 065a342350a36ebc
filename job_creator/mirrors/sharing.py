"""Group and modes of everything in a mirror, each time that it was filled."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

from foundation.errors import naming
from job_creator.mirrors.contents import STAGING
from job_creator.mirrors.permissions import FILE_MODE, FOLDER_MODE, Permissions

_MOST_NAMED: Final = 3

logger = logging.getLogger(__name__)


def share(root: Path, permissions: Permissions) -> None:
    """Give the mirror to its group; without one nothing is changed. What belongs to others and is not right is named.

    Raises `FileAccessError`.
    """
    if permissions.group is None:
        return
    others = []
    with naming(root):
        for path in entries(root):
            status = path.lstat()
            if _is_right(status, permissions.group):
                continue
            if status.st_uid not in (os.geteuid(),) and os.geteuid() != 0:
                others.append(path)
            elif stat.S_ISLNK(status.st_mode):
                permissions.of_link(path)
            elif stat.S_ISDIR(status.st_mode):
                permissions.of_folder(path)
            else:
                permissions.of_file(path, path.parent)
    if others:
        named = ", ".join(map(str, others[:_MOST_NAMED]))
        logger.warning("%d entries belong to others and have another group or mode, such as %s", len(others), named)


def adopt(root: Path, before: Collection[Path], permissions: Permissions) -> None:
    """Give files and folders to a mirror that somebody else's program has put there, whatever its umask was.

    `before` is what `entries` gave before that. Raises `FileAccessError`.
    """
    known = set(before)
    with naming(root):
        for path in entries(root):
            if path in known or path.is_symlink() or path.lstat().st_uid != os.geteuid():
                continue
            if path.is_dir():
                permissions.of_folder(path)
            else:
                permissions.of_file(path, path.parent)


def _is_right(status: os.stat_result, group: int) -> bool:
    if status.st_gid != group:
        return False
    if stat.S_ISLNK(status.st_mode):
        return True
    return stat.S_IMODE(status.st_mode) == (FOLDER_MODE if stat.S_ISDIR(status.st_mode) else FILE_MODE)


def entries(root: Path) -> Iterator[Path]:
    """The mirror's folder, and everything in it but what is not complete yet: only the folder of that."""
    yield root
    left = [root]
    while left:
        with os.scandir(left.pop()) as found:
            for entry in found:
                path = Path(entry.path)
                yield path
                if entry.is_dir(follow_symlinks=False) and f"{path.relative_to(root).as_posix()}/" != STAGING:
                    left.append(path)
