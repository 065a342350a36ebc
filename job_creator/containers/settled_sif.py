"""What no two conversions of one image have in common in a SIF file: identifier, times and user, in its headers."""

from __future__ import annotations

import struct
from typing import Final

from foundation.sif.headers import DESCRIPTOR, Read, read_header

_IDENTIFIER: Final = 48
_HEADER_TIMES: Final = 64
_DESCRIPTOR_TIMES: Final = 41


def changes(read: Read, length: int, epoch: int) -> dict[int, bytes]:
    """The bytes to write at which place, so that all times are `epoch` (seconds) and the rest is zero.

    `length` is that of the file in bytes. Raises `DamagedError` for what is no SIF file, or one that is cut short.
    """
    header = read_header(read, length)
    times = struct.pack("<2q", epoch, epoch)
    found = {_IDENTIFIER: bytes(16), _HEADER_TIMES: times}
    for one in header.objects:
        found[header.table + one.index * DESCRIPTOR.size + _DESCRIPTOR_TIMES] = times + bytes(16)
    return found
