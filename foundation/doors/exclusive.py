"""Folders that one process at a time may work in."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from foundation.errors import NotReadyError, naming


@contextmanager
def held(file: Path) -> Iterator[int]:
    """Hold a file, which is made, until the block ends or this process does; gives its descriptor.

    Whoever inherits the descriptor holds the file as well. Raises `NotReadyError` where somebody else holds it, and
    `FileAccessError`.
    """
    with naming(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        stream = file.open("ab")
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NotReadyError(f"{file.parent}: another run is at work here; wait for its end") from None
        yield stream.fileno()
