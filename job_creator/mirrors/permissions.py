"""Who may read and write what is put into a mirror on a shared file system, so that nobody has to remember `chmod`."""

from __future__ import annotations

import grp
import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from foundation.errors import RefusedError

FILE_MODE: Final = 0o664
FOLDER_MODE: Final = stat.S_ISGID | 0o775
_SHARED_BITS: Final = stat.S_ISGID | 0o777


@dataclass(frozen=True, slots=True)
class Permissions:
    """The group that a mirror belongs to; without one, everything new takes after the folder that it is in."""

    group: int | None = None
    """The system's number of the group."""

    def of_file(self, path: Path, folder: Path) -> None:
        """Give them to a file that is about to be put into a folder."""
        self._give(path, FILE_MODE, folder.stat().st_mode & 0o666)

    def of_folder(self, path: Path) -> None:
        """Give group and modes to a folder."""
        self._give(path, FOLDER_MODE, path.parent.stat().st_mode & _SHARED_BITS)

    def of_link(self, path: Path) -> None:
        """Give the group to a link; its mode means nothing."""
        if self.group is not None:
            os.chown(path, -1, self.group, follow_symlinks=False)

    def make_folders(self, folder: Path, root: Path) -> None:
        """Make a folder and those above it, up to the mirror's own."""
        if folder.is_dir():
            return
        if folder != root:
            self.make_folders(folder.parent, root)
        with suppress(FileExistsError):
            folder.mkdir(parents=folder == root)
            # What the mirror itself is in may well be open to everyone, such as /tmp.
            if folder != root or self.group is not None:
                self.of_folder(folder)

    def _give(self, path: Path, shared: int, inherited: int) -> None:
        if self.group is None:
            path.chmod(inherited)
            return
        found = path.stat()
        # The group first: changing it takes the setgid bit away.
        if found.st_gid != self.group:
            os.chown(path, -1, self.group)
        if stat.S_IMODE(found.st_mode) != shared or found.st_gid != self.group:
            path.chmod(shared)


def permissions_of(group: str | None) -> Permissions:
    """The permissions of a mirror of a group, by its name. Raises `RefusedError` if it cannot be given to it."""
    if group is None:
        return Permissions()
    try:
        number = grp.getgrnam(group).gr_gid
    except KeyError:
        raise RefusedError(f"--group {group}: no such group on this machine") from None
    if os.geteuid() != 0 and number not in {os.getegid(), *os.getgroups()}:
        raise RefusedError(f"--group {group}: only its members can give files to it, and you are none")
    return Permissions(number)
