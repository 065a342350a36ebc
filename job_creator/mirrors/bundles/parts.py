"""How the files of a mirror are laid out in the parts of a bundle, which are tar files. Pure.

Written here byte for byte, so that every offset is known before anything is read, and the same files always give the
same parts. Source of the format: POSIX.1-2001, pax interchange format; the headers are Python's.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from job_creator.mirrors.bundles import SMALLEST_PART
from job_creator.mirrors.contents import STAGING, order

_BLOCK: Final = tarfile.BLOCKSIZE
_RECORD: Final = tarfile.RECORDSIZE


@dataclass(frozen=True, slots=True)
class Member:
    """An entry of a part: a file, or `size` bytes of it from `start` on; `number` counts such pieces from 1."""

    key: str
    start: int
    size: int
    number: int = 0

    def header(self) -> bytes:
        """What tar writes before the content."""
        # No file of a mirror has this name, so pieces never take the place of one when somebody unpacks by hand.
        name = f"{STAGING}{self.key}/{self.number:06}" if self.number else self.key
        info = tarfile.TarInfo(name)
        info.size = self.size
        return info.tobuf(tarfile.PAX_FORMAT, encoding="utf-8")

    def padding(self) -> bytes:
        """What tar writes after the content."""
        return bytes(-self.size % _BLOCK)


def lay_out(sizes: Mapping[str, int], most: int) -> tuple[tuple[Member, ...], ...]:
    """The members of each part so that none has more than `most` bytes. Raises `ValueError` if that is too few."""
    if most < SMALLEST_PART:
        raise ValueError(f"a part needs {SMALLEST_PART} bytes at least")
    parts: list[list[Member]] = []
    used = most
    for key in sorted(sizes, key=order):
        for member in _pieces(key, sizes[key], most):
            length = len(member.header()) + member.size + len(member.padding())
            if _closed(used + length) > most:
                parts.append([])
                used = 0
            parts[-1].append(member)
            used += length
    return tuple(map(tuple, parts))


def offsets(members: Iterable[Member]) -> Iterator[int]:
    """Where in its part the content of each member starts."""
    used = 0
    for member in members:
        used += len(member.header())
        yield used
        used += member.size + len(member.padding())


def ending(size: int) -> bytes:
    """What tar writes after the last member, `size` bytes into a part."""
    return bytes(_closed(size) - size)


def _closed(size: int) -> int:
    """The size of a part with so many bytes of members: two empty blocks, and whole records."""
    return -(-(size + 2 * _BLOCK) // _RECORD) * _RECORD


def _pieces(key: str, size: int, most: int) -> Iterator[Member]:
    whole = Member(key, 0, size)
    if _closed(len(whole.header()) + size + len(whole.padding())) <= most:
        yield whole
        return
    # The header of the largest piece is the longest.
    room = most // _RECORD * _RECORD - 2 * _BLOCK - len(Member(key, 0, most, 1).header())
    room -= room % _BLOCK
    for number, start in enumerate(range(0, size, room), start=1):
        yield Member(key, start, min(room, size - start), number)
