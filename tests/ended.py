"""Whether a process has ended, for tests of what ends with what."""

from __future__ import annotations

import time
from pathlib import Path


def has_ended(pid: int, seconds: float = 20) -> bool:
    """Whether a process ends within so many seconds.

    A killed one closes its files before it ends, and is seen running in between; one that has ended and waits for its
    parent does not run any more.
    """
    end = time.monotonic() + seconds
    while _runs(pid):
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def _runs(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
