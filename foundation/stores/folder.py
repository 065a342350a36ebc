"""Mirrors in folders, such as those that a site shares over a network file system.

Permissions and group are those of the mirror, whoever runs this: a file that is replaced keeps its own, a new one takes
after the folder that it is made in. Links are never followed, unless who reads asks for what one leads to: a link to a
file counts as always new, and as a link it is copied; a link to a folder is refused, because what it leads to cannot be
known to be ours.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from foundation.errors import NotThereError, RefusedError, naming
from foundation.stores.store import ANYTHING, STAGING_FOLDER, ChangedError, Content, StoredObject

_BLOCK = 1 << 20
_PREFIX = ".spackitor-"
_LINK = "link"
"""The tag of links."""
_ALWAYS_NEW = float("inf")
_SHARED_BITS = stat.S_ISGID | 0o777


class FileSystemStore:
    """A mirror below a folder. Raises `NotThereError` if there is none."""

    workers = 1
    can_be_listed = True

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self.url = str(self._root)
        self.requests: Counter[str] = Counter()
        if not self._root.is_dir():
            raise NotThereError(f"{root}: no such folder")

    def now(self) -> float:
        """The time of this machine."""
        return time.time()

    def folders(self) -> tuple[str, ...]:
        """The folders directly below the root."""
        self.requests["LIST"] += 1
        with naming(self._root), os.scandir(self._root) as found:
            return tuple(sorted(entry.name for entry in found if entry.is_dir()))

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """All files below a folder that are complete. Raises `RefusedError` for links to folders."""
        top = self._path(prefix.rstrip("/"))
        if top.is_symlink():
            raise RefusedError(f"{top}: is a link, and links are not followed; give the folder itself as the mirror")
        if top.is_dir():
            with naming(top):
                yield from self._files(str(top), prefix)

    def _files(self, folder: str, prefix: str) -> Iterator[StoredObject]:
        self.requests["LIST"] += 1
        with os.scandir(folder) as found:
            for entry in found:
                key = prefix + entry.name
                if f"{key}/" == STAGING_FOLDER:
                    continue
                if entry.is_symlink() and entry.is_dir():
                    raise RefusedError(f"{entry.path}: is a link to a folder, and links are not followed")
                if entry.is_dir():
                    yield from self._files(entry.path, f"{key}/")
                elif entry.is_symlink():
                    yield self._link(key)
                else:
                    yield _object(key, entry.stat(follow_symlinks=False))

    def look(self, key: str) -> StoredObject | None:
        """What is known of a file; `None` if there is none."""
        path = self._path(key)
        with naming(path), suppress(FileNotFoundError, NotADirectoryError):
            status = path.lstat()
            if stat.S_ISLNK(status.st_mode):
                return self._link(key)
            return None if stat.S_ISDIR(status.st_mode) else _object(key, status)
        return None

    def read(self, key: str) -> Content | None:
        """The content of a file; `None` if there is none, or only a link."""
        self.requests["GET"] += 1
        path = str(self._path(key))
        descriptor = _open(path)
        if descriptor is None:
            return None
        with naming(path), os.fdopen(descriptor, "rb") as stream:
            return Content(stream.read(), _tag(os.fstat(descriptor)))

    def stream(self, key: str) -> Iterator[bytes]:
        """The content of a file in pieces. Raises `NotThereError` and `FileAccessError`."""
        self.requests["GET"] += 1
        path = str(self._path(key))
        descriptor = _open(path)
        if descriptor is None:
            raise NotThereError(f"{path}: no such file")
        with naming(path), os.fdopen(descriptor, "rb", buffering=0) as stream:
            while block := stream.read(_BLOCK):
                yield block

    def require_writable(self, keys: Iterable[str]) -> None:
        """Raise `RefusedError` if the folders of these files, or the nearest ones that exist, may not be written."""
        for folder in sorted({self._nearest(self._path(key).parent) for key in keys} | {self._root}):
            if not os.access(folder, os.W_OK | os.X_OK):
                raise RefusedError(f"{folder}: may not be written, so nothing is changed at all")

    def write(self, key: str, data: bytes, *, replaces: str | None = ANYTHING, no_cache: bool = False) -> str:
        """Write a file beside the one that it then replaces."""
        del no_cache
        self.requests["PUT"] += 1
        path = self._path(key)
        with naming(path):
            self._make_folder(path.parent)
        with naming(path, always=True):
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=_PREFIX)
            new = Path(name)
            try:
                with os.fdopen(handle, "wb") as stream:
                    stream.write(data)
                self._permit(new, path)
                # File systems replace unconditionally: between this look and the replacement remain microseconds.
                _require_tag(path, replaces)
                tag = _tag(new.stat())
                new.replace(path)
            except BaseException:
                new.unlink(missing_ok=True)
                raise
        return tag

    def copy(self, source: str, target: str, *, as_new: bool = False) -> None:
        """Make a second name for a file, or a second file where the file system knows no hard links.

        Raises `NotThereError` and `FileAccessError`.
        """
        self.requests["COPY"] += 1
        old, new = self._path(source), self._path(target)
        with naming(new):
            if not os.path.lexists(old):
                raise NotThereError(f"{old}: no such file")
            self._make_folder(new.parent)
            new.unlink(missing_ok=True)
            if old.is_symlink():
                new.symlink_to(old.readlink())
                return
            try:
                if as_new:
                    os.utime(old)
                new.hardlink_to(old)
            except OSError:
                _copy_whole(old, new, as_new=as_new)

    def delete(self, keys: Iterable[str]) -> Mapping[str, str]:
        """Remove files. Their folders stay: somebody may be about to write into them."""
        failed: dict[str, str] = {}
        for key in keys:
            self.requests["DELETE"] += 1
            try:
                self._path(key).unlink(missing_ok=True)
            except OSError as error:
                failed[key] = error.strerror or str(error)
        return failed

    def keeps_versions(self) -> bool:
        """Snapshots of file systems are nothing that a program could know of."""
        return False

    def _path(self, key: str) -> Path:
        path = self._root / key
        if ".." in path.parts:
            raise RefusedError(f"{key}: leads out of the mirror")
        return path

    def _link(self, key: str) -> StoredObject:
        return StoredObject(key, 0, _ALWAYS_NEW, _LINK, self._target(key))

    def _target(self, key: str) -> str:
        """What a link leads to: a key, or an absolute path outside of the mirror."""
        path = self._root / key
        target = os.path.normpath(path.parent / path.readlink())
        return os.path.relpath(target, self._root) if Path(target).is_relative_to(self._root) else target

    def _nearest(self, folder: Path) -> Path:
        while not folder.is_dir():
            folder = folder.parent
        return folder

    def _make_folder(self, folder: Path) -> None:
        if folder.is_dir():
            return
        self._make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        folder.chmod(folder.parent.stat().st_mode & _SHARED_BITS)

    @staticmethod
    def _permit(new: Path, replaced: Path) -> None:
        """Give the new file the permissions and the group that it should have."""
        try:
            old = replaced.stat()
        except FileNotFoundError:
            new.chmod(replaced.parent.stat().st_mode & 0o666)
            return
        if old.st_gid != new.stat().st_gid:
            # Who is not a member of the group cannot give files to it; the permissions still apply.
            with suppress(PermissionError):
                os.chown(new, -1, old.st_gid)
        new.chmod(stat.S_IMODE(old.st_mode))


def _open(path: str) -> int | None:
    """Open a file to read, if there is one; links are not followed. Raises `FileAccessError`."""
    with naming(path), suppress(FileNotFoundError):
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    return None


def _copy_whole(old: Path, new: Path, *, as_new: bool) -> None:
    """Copy a file so that it appears under its name whole or not at all."""
    handle, name = tempfile.mkstemp(dir=new.parent, prefix=_PREFIX)
    os.close(handle)
    try:
        shutil.copy2(old, name)
        if as_new:
            os.utime(name)
        Path(name).replace(new)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _object(key: str, status: os.stat_result) -> StoredObject:
    return StoredObject(key, status.st_size, status.st_mtime, _tag(status))


def _tag(status: os.stat_result) -> str:
    return f"{status.st_mtime_ns}-{status.st_size}-{status.st_ino}"


def _require_tag(path: Path, tag: str | None) -> None:
    if tag == ANYTHING:
        return
    try:
        found = _LINK if path.is_symlink() else _tag(path.lstat())
    except FileNotFoundError:
        found = None
    if found != tag:
        raise ChangedError(path.name)
