"""JSON that others wrote, cut off or made to harm: whatever is wrong with it is one kind of error."""

from __future__ import annotations

import gzip
import json
import math
import zlib
from typing import Any, Final

LATEST: Final = 253402300799.0
"""The last second that a calendar has, in seconds since 1970."""


def json_of(data: bytes | str) -> Any:
    """The value of a document. Raises `ValueError` for everything that is none."""
    try:
        return json.loads(data)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def packed_json_of(data: bytes) -> Any:
    """The same of one that was packed by gzip. Raises `ValueError`."""
    try:
        return json_of(gzip.decompress(data))
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"cannot be unpacked ({error})") from None


def texts_of(value: object) -> tuple[str, ...]:
    """A list of texts, and nothing else: taken for one, a text would be a list of letters. Raises `TypeError`."""
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise TypeError("not a list of texts")
    return tuple(value)


def seconds_of(value: object) -> float:
    """A time in seconds since 1970 that a calendar has. Raises `TypeError` and `ValueError`."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError("not a time")
    if not math.isfinite(value) or not 0 <= value <= LATEST:
        raise ValueError("not a time in any calendar")
    return float(value)
