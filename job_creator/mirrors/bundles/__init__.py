"""Mirrors carried in files: written on one side, verified and put in place on the other."""

from typing import Final

SMALLEST_PART: Final = 64 * 1024
"""Bytes that a part must be allowed to have, so that every header fits into one."""
