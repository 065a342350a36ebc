"""Folders with everything in them: measured, and deleted by many threads at once.

No link is ever followed, also not one that somebody puts in the place of a folder meanwhile: every folder is opened
below its parent's descriptor, and what is deleted is a name in an open folder. No other file system is entered. What is
done stays done, so that a run that was killed is repeated.
"""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from foundation.errors import NotThereError, RefusedError, naming

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MOUNTS: Final = Path("/proc/self/mountinfo")


@dataclass(frozen=True)
class MeasuredTree:
    """A folder and what is in it: how much, and the bytes below each name directly in it.

    A file with several names counts once. `identity` is device and inode.
    """

    path: Path
    identity: tuple[int, int]
    files: int
    folders: int
    size: int
    largest: dict[str, int]


@dataclass
class DeletedTree:
    """What became of a folder: how many files and folders are gone, and why others are not, by path."""

    files: int = 0
    folders: int = 0
    failed: dict[str, str] = field(default_factory=dict)


def measure(path: Path) -> MeasuredTree:
    """Look at a folder before it is deleted.

    Raises `NotThereError`, `FileAccessError`, and `RefusedError` for a link, for a mount point or a folder that has one
    below it, and for one that this process works in.
    """
    if path.name in ("", ".."):
        raise RefusedError(f"{path}: give the folder by its name")
    with naming(path):
        path = path.parent.resolve() / path.name
        try:
            status = path.lstat()
        except FileNotFoundError:
            raise NotThereError(f"{path}: no such folder") from None
        _require_deletable(path, status)
        descriptor = os.open(path, _FOLDER)
        try:
            sizes: Counter[str] = Counter()
            counts: Counter[bool] = Counter()
            seen: set[tuple[int, int]] = set()
            for top, one in _everything(descriptor, status.st_dev):
                is_folder = stat.S_ISDIR(one.st_mode)
                counts[is_folder] += 1
                if not is_folder and (one.st_dev, one.st_ino) not in seen:
                    sizes[top] += one.st_size
                    if one.st_nlink > 1:
                        seen.add((one.st_dev, one.st_ino))
        finally:
            os.close(descriptor)
    identity = status.st_dev, status.st_ino
    return MeasuredTree(path, identity, counts[False], counts[True] + 1, sizes.total(), dict(sizes.most_common()))


def _require_deletable(path: Path, status: os.stat_result) -> None:
    if stat.S_ISLNK(status.st_mode):
        raise RefusedError(f"{path}: is a link, and links are not followed; give the folder itself")
    if not stat.S_ISDIR(status.st_mode):
        raise RefusedError(f"{path}: is no folder")
    real = Path(os.path.realpath(path))
    if Path.cwd().is_relative_to(real) or Path.home().is_relative_to(real):
        raise RefusedError(f"{path}: holds the folder that this runs in, or your home")
    for mounted in _mount_points():
        if mounted == real or mounted.is_relative_to(real):
            raise RefusedError(f"{path}: {mounted} is a mount point; other file systems are not deleted from")


def _mount_points() -> Iterator[Path]:
    """Also those that are folders of the same file system (bind mounts), which devices do not tell."""
    if _MOUNTS.exists():
        for line in _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
            text = line.split(" ")[4]
            for octal, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
                text = text.replace(octal, character)
            yield Path(text)


def _everything(top: int, device: int) -> Iterator[tuple[str, os.stat_result]]:
    """Everything below an open folder, each with the first name of its path."""
    todo: list[tuple[str, str]] = [("", ".")]
    while todo:
        first, below = todo.pop()
        descriptor = _open_below(top, below)
        if descriptor is None:
            continue
        try:
            if os.fstat(descriptor).st_dev != device:
                continue
            with os.scandir(descriptor) as found:
                for entry in found:
                    status = entry.stat(follow_symlinks=False)
                    yield first or entry.name, status
                    if stat.S_ISDIR(status.st_mode):
                        todo.append((first or entry.name, f"{below}/{entry.name}"))
        finally:
            os.close(descriptor)


def _open_below(top: int, below: str) -> int | None:
    """A folder below an open one, no link on the way followed; `None` where it is none any more."""
    descriptor = os.dup(top)
    for name in below.split("/")[1:]:
        try:
            deeper = os.open(name, _FOLDER, dir_fd=descriptor)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            if error.errno == errno.ELOOP:  # a link took its place
                return None
            raise
        finally:
            os.close(descriptor)
        descriptor = deeper
    return descriptor


class _OpenFolder:
    """A folder that is being emptied, and is removed when everything in it is."""

    def __init__(self, parent: _OpenFolder | None, parent_descriptor: int, name: str, path: str) -> None:
        self.parent, self.parent_descriptor, self.name, self.path = parent, parent_descriptor, name, path
        self.descriptor = -1
        self.left = 0
        self.is_spoilt = False


class _Deletion:
    def __init__(self, device: int, workers: int) -> None:
        self.result = DeletedTree()
        self._device, self._workers = device, workers
        self._todo: list[_OpenFolder] = []
        self._open = 0
        self._changed = threading.Condition()

    def run(self, top: _OpenFolder) -> None:
        """Delete a folder with everything in it."""
        self._todo, self._open = [top], 1
        with ThreadPoolExecutor(self._workers) as pool:
            for done in [pool.submit(self._work) for _ in range(self._workers)]:
                done.result()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._todo or self._open <= 0)
                if self._open <= 0:
                    return
                # The last one first: so few folders are open at the same time, however wide the tree is.
                folder = self._todo.pop()
            try:
                self._empty(folder)
            except BaseException:
                with self._changed:
                    self._open = 0
                    self._changed.notify_all()
                raise

    def _empty(self, folder: _OpenFolder) -> None:
        deeper: list[str] = []
        files = 0
        try:
            folder.descriptor = os.open(folder.name, _FOLDER, dir_fd=folder.parent_descriptor)
            if os.fstat(folder.descriptor).st_dev != self._device:
                self._fail(folder, "another file system is mounted there")
            else:
                for name, is_folder in _names(folder.descriptor):
                    if is_folder:
                        deeper.append(name)
                    else:
                        files += self._unlink(folder, name)
        except FileNotFoundError:
            pass
        except OSError as error:
            if (
                error.errno in (errno.ENOTDIR, errno.ELOOP) and folder.parent
            ):  # no folder any more, but a file or a link
                files += self._unlink(folder.parent, folder.name)
            else:
                self._fail(folder, str(error.strerror))
        children = [_OpenFolder(folder, folder.descriptor, name, f"{folder.path}/{name}") for name in deeper]
        with self._changed:
            self.result.files += files
            folder.left = len(children)
            self._open += len(children)
            self._todo += children
            self._changed.notify_all()
        if not children:
            self._close(folder)

    def _unlink(self, folder: _OpenFolder, name: str) -> int:
        try:
            os.unlink(name, dir_fd=folder.descriptor)
        except FileNotFoundError:
            return 0
        except OSError as error:
            self._fail(folder, str(error.strerror), name)
            return 0
        return 1

    def _close(self, folder: _OpenFolder | None) -> None:
        """Remove a folder that is empty now, and those above it for which it was the last thing."""
        while folder:
            if folder.descriptor >= 0:
                os.close(folder.descriptor)
                if not folder.is_spoilt:
                    self._remove(folder)
            with self._changed:
                self._open -= 1
                parent = folder.parent
                if parent:
                    parent.left -= 1
                    parent.is_spoilt = parent.is_spoilt or folder.is_spoilt
                folder = parent if parent and not parent.left else None
                self._changed.notify_all()

    def _remove(self, folder: _OpenFolder) -> None:
        try:
            os.rmdir(folder.name, dir_fd=folder.parent_descriptor)
            with self._changed:
                self.result.folders += 1
        except FileNotFoundError:
            pass
        except OSError as error:
            self._fail(folder, str(error.strerror))

    def _fail(self, folder: _OpenFolder, why: str, name: str = "") -> None:
        with self._changed:
            folder.is_spoilt = True
            self.result.failed[f"{folder.path}/{name}" if name else folder.path] = why


def _names(descriptor: int) -> list[tuple[str, bool]]:
    with os.scandir(descriptor) as found:
        return [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in found]


def delete(tree: MeasuredTree, workers: int = 16) -> DeletedTree:
    """Delete a folder that was measured, with everything that is in it now.

    Raises `RefusedError` if another folder has taken its place, and `FileAccessError`.
    """
    with naming(tree.path, always=True):
        above = os.open(tree.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            status = os.stat(tree.path.name, dir_fd=above, follow_symlinks=False)
            if (status.st_dev, status.st_ino) != tree.identity:
                raise RefusedError(f"{tree.path}: is another one than the one that was looked at; nothing was deleted")
            deletion = _Deletion(status.st_dev, workers)
            deletion.run(_OpenFolder(None, above, tree.path.name, str(tree.path)))
        except FileNotFoundError:
            return DeletedTree()
        else:
            return deletion.result
        finally:
            os.close(above)
