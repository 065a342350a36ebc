"""What no two conversions of one image have in common in a SIF file: identifier, times and who made it, in its headers.

Source: the SIF format as Apptainer's library writes it (`pkg/sif`, version 1): all numbers are little endian.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

from foundation.errors import DamagedError

MAGIC: Final = b"SIF_MAGIC\0"
VERSION: Final = b"01\0"
_HEADER: Final = struct.Struct("<32s10s3s3s16s8q")
"""Launcher, magic, version, architecture, identifier; when it was made and changed, free descriptors, all of them,
where they are, their length, where data is, its length."""
_IDENTIFIER: Final = 48
_HEADER_TIMES: Final = 64
_DESCRIPTOR: Final = struct.Struct("<i?3I7q128s384s")
"""Kind, whether it is in use, identifier, group, link; offset, size, size with padding, when it was made and changed,
user, group of the user; name, and what the kind adds."""
_DESCRIPTOR_TIMES: Final = 41
_MOST: Final = 1024
"""Descriptors; Apptainer makes 48."""


def changes(read: Callable[[int, int], bytes], epoch: int) -> dict[int, bytes]:
    """The bytes to write at which place, so that all times are `epoch` (seconds) and the rest is zero.

    `read` gives so many bytes from a place of the file on, and raises `EOFError` if there are fewer. Raises
    `DamagedError` for what is no SIF file, or one that is cut short.
    """
    header = _read(read, 0, _HEADER.size)
    if header[32:45] != MAGIC + VERSION:
        raise DamagedError("it is no SIF file of version 01")
    total, offset, length = _HEADER.unpack(header)[8:11]
    if not 0 <= total <= _MOST or offset < _HEADER.size or length != total * _DESCRIPTOR.size:
        raise DamagedError("its header contradicts itself")
    table = _read(read, offset, length)
    times = struct.pack("<2q", epoch, epoch)
    found = {_IDENTIFIER: bytes(16), _HEADER_TIMES: times}
    for index, descriptor in enumerate(_DESCRIPTOR.iter_unpack(table)):
        if descriptor[1]:
            found[offset + index * _DESCRIPTOR.size + _DESCRIPTOR_TIMES] = times + bytes(16)
    return found


def _read(read: Callable[[int, int], bytes], start: int, size: int) -> bytes:
    try:
        return read(start, size)
    except EOFError:
        raise DamagedError("it ends within its headers") from None
