"""Files of a container, read out of the partition of a SIF file. Nothing is mounted and nothing is run."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from foundation.doors import blocks
from foundation.errors import DamagedError, naming
from foundation.sif.files import SifFile
from foundation.sif.squashfs import Inode, Squashfs

_LARGEST: Final = 256 << 20
_LINKS: Final = 40
"""As many links are followed as Linux follows."""


class Contents:
    """The files of a container. Paths are absolute; links are followed within the container."""

    def __init__(self, image: Squashfs, place: str) -> None:
        self._image = image
        self._place = place

    def size(self, path: str) -> int | None:
        """How many bytes a file has; `None` where there is none. Raises `DamagedError`."""
        with _naming(self._place):
            found = self._find(path)
            return found.size if found is not None and found.is_file else None

    def read(self, path: str, most: int = _LARGEST) -> bytes | None:
        """The content of a file of at most so many bytes; `None` where there is none. Raises `DamagedError`."""
        with _naming(self._place):
            found = self._find(path)
            if found is None or not found.is_file:
                return None
            if found.size > most:
                raise DamagedError(f"{path} has {found.size} bytes, which nobody reads at once")
            return b"".join(self._image.content(found))

    def exists(self, path: str) -> bool:
        """Whether there is something at a path. Raises `DamagedError`."""
        with _naming(self._place):
            return self._find(path) is not None

    def head(self, path: str, size: int) -> bytes:
        """The first bytes of a file; none where there is none. Raises `DamagedError`."""
        with _naming(self._place):
            found = self._find(path)
            if found is None or not found.is_file:
                return b""
            return next(self._image.content(found), b"")[:size]

    def files(self, path: str, wanted: Callable[[str], bool] = lambda _: True) -> Iterator[str]:
        """The files below a folder, those of folders that are not `wanted` left out; links are not followed.

        Sorted within each folder. Raises `DamagedError`.
        """
        with _naming(self._place):
            found = self._find(path)
            waiting = [(path, found)] if found is not None and found.is_folder else []
            while waiting:
                place, folder = waiting.pop()
                for name, reference in sorted(self._image.entries(folder).items()):
                    inode, below = self._image.inode(reference), posixpath.join(place, name)
                    if inode.is_folder and wanted(below):
                        waiting.append((below, inode))
                    elif inode.is_file:
                        yield below

    def _find(self, path: str) -> Inode | None:
        trail, parts, followed = [self._image.root], _parts(path), 0
        while parts:
            part = parts.pop(0)
            if part == "..":
                trail = trail[:-1] or trail
                continue
            reference = self._image.entries(trail[-1]).get(part) if trail[-1].is_folder else None
            if reference is None:
                return None
            found = self._image.inode(reference)
            if not found.is_link:
                trail.append(found)
                continue
            followed += 1
            if followed > _LINKS:
                return None
            trail = trail[:1] if found.target.startswith("/") else trail
            parts = _parts(found.target) + parts
        return trail[-1]


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]


@contextmanager
def opened_contents(file: SifFile) -> Iterator[Contents]:
    """The files of the container in a SIF file, as long as the block lasts. Raises `DamagedError`."""
    system = file.header.system
    if system is None:
        raise DamagedError(f"{file.path}: has no partition that a container starts from")

    with naming(file.path), blocks.reading(file.path) as read_at:

        def read(start: int, size: int) -> bytes:
            if start + size > system.size:
                raise EOFError
            return read_at(system.offset + start, size)

        with _naming(str(file.path)):
            image = Squashfs(read)
        yield Contents(image, str(file.path))


@contextmanager
def _naming(place: str) -> Iterator[None]:
    try:
        yield
    except DamagedError as error:
        raise DamagedError(f"{place}: its file system cannot be read: {error}") from None
