"""Ends what a test process left running, however that process ended: a script, `leftovers.py FOLDER`.

It waits for the end of its standard input, which comes with the end of the test process, also with SIGKILL. All that
tests start has `FOLDER` in its environment (HOME is in there); what lets nobody look at that, as gpg-agent does, names
it on its command line. All of it is ended then, and printed, one command a line. A test process that comes to its own
end says so on standard input: what is just ending has `GRACE` seconds for it.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

GRACE = 5.0


def left(folder: str) -> Iterator[tuple[int, str]]:
    """Number and command of each process that belongs to a folder, but for this one."""
    mark = f"{folder}/".encode()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            command = (process / "cmdline").read_bytes()
            try:
                told = (process / "environ").read_bytes()
            except PermissionError:
                told = command
            # A process that has ended, and was not waited for, has no command.
            if command and mark in told and int(process.name) != os.getpid():
                yield int(process.name), command.rstrip(b"\0").replace(b"\0", b" ").decode(errors="replace")


def end(folder: str, command: str = "") -> dict[int, str]:
    """End those whose command begins so, also those which they start meanwhile. Returns what they were."""
    ended: dict[int, str] = {}
    while found := {number: told for number, told in left(folder) if told.startswith(command)}:
        for number in found:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(number, signal.SIGKILL)
        if found.keys() <= ended.keys():
            time.sleep(0.02)
        ended |= found
    return ended


def main(folder: str) -> None:
    """Wait, and end."""
    until = time.monotonic() + GRACE if sys.stdin.read() else 0
    while time.monotonic() < until and any(left(folder)):
        time.sleep(0.05)
    # Nobody may be there to read.
    with suppress(BrokenPipeError):
        sys.stdout.write("\n".join(end(folder).values()))
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
