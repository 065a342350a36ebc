"""The headers of a SIF file: which objects it has, where, and of which kind. Pure.

Source: the SIF format as Apptainer's library writes it (`pkg/sif`, version 1): all numbers are little endian.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from foundation.errors import DamagedError

MAGIC: Final = b"SIF_MAGIC\0"
VERSION: Final = b"01\0"
HEADER: Final = struct.Struct("<32s10s3s3s16s8q")
"""Launcher, magic, version, architecture, identifier; when it was made and changed, free descriptors, all of them,
where they are, their length, where data is, its length."""
DESCRIPTOR: Final = struct.Struct("<i?3I7q128s384s")
"""Kind, whether it is in use, identifier, group, link; offset, size, size with padding, when it was made and changed,
user, group of the user; name, and what the kind adds."""
_MOST: Final = 1024
"""Descriptors; Apptainer makes 48."""

Read = Callable[[int, int], bytes]
"""Gives so many bytes from a place of the file on; raises `EOFError` if there are fewer."""


class ObjectKind(IntEnum):
    """The kinds of objects that this project reads or writes."""

    DEFINITION = 0x4001
    LABELS = 0x4003
    PARTITION = 0x4004
    SIGNATURE = 0x4005
    JSON = 0x4006
    GENERIC = 0x4007
    SBOM = 0x4009


@dataclass(frozen=True, slots=True)
class SifObject:
    """What a file says of one of its objects. Places and sizes are in bytes."""

    index: int
    """Of its descriptor in the table."""
    kind: int
    identifier: int
    group: int
    link: int
    offset: int
    size: int
    name: str
    extra: bytes
    """What the kind adds, without the zeros at its end."""


@dataclass(frozen=True, slots=True)
class SifHeader:
    """The headers of a file, as far as they say what it is."""

    launcher: bytes
    architecture: bytes
    objects: tuple[SifObject, ...]
    """Those in use, in the order of the table."""
    free: int
    """Descriptors that are not in use, as the header says."""
    table: int
    """Where the table of descriptors is."""
    total: int
    data_size: int

    def named(self, name: str) -> SifObject | None:
        """The first object of a name."""
        return next((one for one in self.objects if one.name == name), None)

    @property
    def system(self) -> SifObject | None:
        """The partition that a container starts from (`PartPrimSys`)."""
        kinds = ((one, one.extra[4:8].ljust(4, b"\0")) for one in self.objects if one.kind == ObjectKind.PARTITION)
        return next((one for one, kind in kinds if kind == _PRIMARY), None)


_PRIMARY: Final = struct.pack("<i", 2)


def read_header(read: Read, length: int) -> SifHeader:
    """Read the headers of a file that has so many bytes. Raises `DamagedError` for what is no SIF file, or is cut."""
    header = read_or_damaged(read, 0, HEADER.size)
    launcher, magic, version, architecture = HEADER.unpack(header)[:4]
    if magic + version != MAGIC + VERSION:
        raise DamagedError("it is no SIF file of version 01")
    free, total, offset, size, _, data_size = HEADER.unpack(header)[7:]
    if not 0 <= total <= _MOST or offset < HEADER.size or size != total * DESCRIPTOR.size:
        raise DamagedError("its header contradicts itself")
    table = read_or_damaged(read, offset, size)
    objects = tuple(_object(index, fields) for index, fields in enumerate(DESCRIPTOR.iter_unpack(table)) if fields[1])
    for one in objects:
        if one.offset < 0 or one.size < 0 or one.offset + one.size > length:
            raise DamagedError(f"object {one.identifier} ends behind the end of the file; was it cut short?")
    return SifHeader(launcher, architecture, objects, free, offset, total, data_size)


def read_or_damaged(read: Read, start: int, size: int) -> bytes:
    """Bytes of the headers. Raises `DamagedError` if there are fewer."""
    try:
        return read(start, size)
    except EOFError:
        raise DamagedError("it ends within its headers") from None


def _object(index: int, fields: tuple[Any, ...]) -> SifObject:
    kind, _, identifier, group, link, offset, size, *_, name, extra = fields
    text = name.partition(b"\0")[0].decode(errors="replace")
    return SifObject(index, kind, identifier, group, link, offset, size, text, extra.rstrip(b"\0"))


@dataclass(frozen=True, slots=True)
class NewObject:
    """An object that is to be added to a file."""

    kind: ObjectKind
    name: str
    content: bytes
    extra: bytes = b""


_ALIGNMENT: Final = 8


def added(header: SifHeader, length: int, new: NewObject, epoch: int) -> dict[int, bytes]:
    """The bytes to write at which place, so that a file of so many bytes has one more object.

    It belongs to the group of the partition that the container starts from, so that Apptainer's signature covers it;
    all its times are `epoch` (seconds since 1970). Raises `DamagedError` if the table of descriptors is full.
    """
    used = {one.index for one in header.objects}
    index = next((number for number in range(header.total) if number not in used), None)
    if index is None:
        raise DamagedError(f"all its {header.total} descriptors are in use")
    group = header.system.group if header.system else 0xF0000001
    identifier = 1 + max((one.identifier for one in header.objects), default=0)
    start = -(-length // _ALIGNMENT) * _ALIGNMENT
    size, padded = len(new.content), len(new.content) + start - length
    descriptor = DESCRIPTOR.pack(
        *(new.kind, True, identifier, group, 0, start, size, padded, epoch, epoch, 0, 0),
        *(new.name.encode(), new.extra),
    )
    counts = struct.pack("<q", header.free - 1)
    return {
        start: new.content,
        header.table + index * DESCRIPTOR.size: descriptor,
        _FREE: counts,
        _DATA_SIZE: struct.pack("<q", header.data_size + padded),
    }


_FREE: Final = 80
_DATA_SIZE: Final = 120
