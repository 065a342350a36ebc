"""A jobserver of GNU make, so that packages that are built beside each other never take more cores than there are.

There is a pipe with a name and a byte in it for each core. Whoever wants to run something takes a byte, and puts it
back afterwards: we for each package, make for each compiler beyond the first. Source: GNU make's manual, "POSIX
Jobserver"; pipes with names are known to make 4.4 and newer.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from foundation.errors import naming

_TOKEN: Final = b"+"


class Jobserver:
    """The pipe, made at `path`."""

    def __init__(self, path: Path, cores: int) -> None:
        self.cores = cores
        self._path = path
        with naming(path):
            os.mkfifo(path, 0o600)
            # Both ends, so that nobody who comes or goes closes it.
            self._pipe = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        os.write(self._pipe, _TOKEN * cores)

    @property
    def makeflags(self) -> str:
        """The variable `MAKEFLAGS` of who takes part. It begins with a space: its first word would be short options."""
        return f" -j{self.cores} --jobserver-auth=fifo:{self._path}"

    def take(self) -> bool:
        """Take a core; false if none is free."""
        try:
            return bool(os.read(self._pipe, 1))
        except BlockingIOError:
            return False

    def give(self) -> None:
        """Give a core back."""
        os.write(self._pipe, _TOKEN)

    def fill(self) -> None:
        """Start anew, when nobody has a core: a make that was killed took its own with it."""
        while self.take():
            pass
        os.write(self._pipe, _TOKEN * self.cores)

    def close(self) -> None:
        """Remove the pipe."""
        os.close(self._pipe)
        with suppress(FileNotFoundError):
            self._path.unlink()
