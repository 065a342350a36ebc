"""What ELF files ask the dynamic loader for; elf(5) has their form.

Runs with the builder image's Python, hence without dependencies.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

PT_LOAD, PT_DYNAMIC, PT_INTERP = 1, 2, 3
DT_NEEDED, DT_STRTAB, DT_STRSZ, DT_RPATH, DT_RUNPATH = 1, 5, 10, 15, 29
TEXTS = (DT_NEEDED, DT_RPATH, DT_RUNPATH)


class Linked(NamedTuple):
    """What a file asks for."""

    loader: str
    """Empty for libraries."""
    needed: tuple[str, ...]
    search: tuple[str, ...]
    """RPATH and RUNPATH, as they stand there."""


class Segment(NamedTuple):
    """An entry of the program header."""

    kind: int
    offset: int
    address: int
    length: int


def linked(path: Path) -> Linked | None:
    """What a file asks for; nothing for one that is not linked dynamically, cannot be read or is broken."""
    try:
        with path.open("rb") as file:
            return read_elf(file)
    except (OSError, struct.error):
        return None


def read_elf(file: BinaryIO) -> Linked | None:
    """The same of an open file. Raises `struct.error` for a broken one."""
    ident = file.read(16)
    if ident[:4] != b"\x7fELF" or ident[4] not in (1, 2) or ident[5] not in (1, 2):
        return None
    is_wide, order = ident[4] == 2, "<" if ident[5] == 1 else ">"
    segments = list(read_segments(file, is_wide, order))

    def content(kind: int) -> bytes:
        return next((read_at(file, one.offset, one.length) for one in segments if one.kind == kind), b"")

    entry = struct.Struct(f"{order}{'qQ' if is_wide else 'iI'}")
    dynamic = content(PT_DYNAMIC)
    tags = list(entry.iter_unpack(dynamic[: len(dynamic) // entry.size * entry.size]))
    start, length = (next((value for tag, value in tags if tag == wanted), -1) for wanted in (DT_STRTAB, DT_STRSZ))
    loaded = [one for one in segments if one.kind == PT_LOAD]
    table = next((one for one in loaded if one.address <= start < one.address + one.length), None)
    if table is None or length < 0:
        return None
    strings = read_at(file, table.offset + start - table.address, length)
    texts = [(tag, os.fsdecode(strings[at : strings.find(b"\0", at)])) for tag, at in tags if tag in TEXTS]
    needed = tuple(text for tag, text in texts if tag == DT_NEEDED)
    search = tuple(one for tag, text in texts if tag != DT_NEEDED for one in text.split(":") if one)
    return Linked(os.fsdecode(content(PT_INTERP).rstrip(b"\0")), needed, search)


def read_segments(file: BinaryIO, is_wide: bool, order: str) -> Iterator[Segment]:
    """The program header."""
    header = read_at(file, 0, 64)
    (offset,) = struct.unpack_from(f"{order}{'Q' if is_wide else 'I'}", header, 32 if is_wide else 28)
    size, count = struct.unpack_from(f"{order}HH", header, 54 if is_wide else 42)
    # 64 bit has flags behind the type; both have a physical address before the size.
    form = struct.Struct(f"{order}{'I4xQQ8xQ' if is_wide else 'III4xI'}")
    for index in range(count):
        yield Segment(*form.unpack(read_at(file, offset + index * size, form.size)))


def read_at(file: BinaryIO, offset: int, length: int) -> bytes:
    """Bytes of a file."""
    file.seek(offset)
    return file.read(length)
