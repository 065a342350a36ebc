"""SIF files on this machine: their headers, their objects, and objects that are added."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from foundation.doors import blocks
from foundation.errors import DamagedError, naming
from foundation.sif.headers import NewObject, SifHeader, SifObject, added, read_header


@dataclass(frozen=True, slots=True)
class SifFile:
    """A SIF file, opened only for as long as something of it is read."""

    path: Path
    size: int
    header: SifHeader

    def blocks(self, one: SifObject) -> Iterator[bytes]:
        """The content of an object, in blocks. Raises `DamagedError` if the file was cut short meanwhile."""
        try:
            with naming(self.path):
                yield from blocks.read(self.path, one.offset, one.size)
        except EOFError:
            raise DamagedError(f"{self.path}: was cut short meanwhile") from None

    def content(self, one: SifObject) -> bytes:
        """The content of a small object."""
        return b"".join(self.blocks(one))

    def named(self, name: str) -> bytes | None:
        """The content of the first object of a name; `None` if there is none."""
        found = self.header.named(name)
        return self.content(found) if found else None


def open_sif(path: Path) -> SifFile:
    """Read the headers of a file; links are followed. Raises `DamagedError` and `FileAccessError`."""
    with naming(path):
        real = path.resolve(strict=True)
        size = real.stat().st_size

        def read(start: int, count: int) -> bytes:
            return b"".join(blocks.read(real, start, count))

        try:
            return SifFile(real, size, read_header(read, size))
        except DamagedError as error:
            raise DamagedError(f"{path}: {error}") from None


def add_objects(path: Path, objects: Iterable[NewObject], epoch: int) -> None:
    """Put objects into a file, in place. One with the name of an object that is there already is an error.

    Raises `DamagedError` and `FileAccessError`.
    """
    for new in objects:
        file = open_sif(path)
        if file.header.named(new.name):
            raise DamagedError(f"{path}: has an object named {new.name} already")
        try:
            found = added(file.header, file.size, new, epoch)
        except DamagedError as error:
            raise DamagedError(f"{path}: {error}") from None
        blocks.overwrite(file.path, found)
