"""Everything that ends a command on purpose, and the exit code that each cause has.

A bug is none of these: it keeps its traceback and Python's exit code 1.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class ExitCode(IntEnum):
    """The exit codes of `jc`, `ga` and `spackitor`, one for each cause; the README documents the same table."""

    OK = 0
    BUG = 1
    USAGE = 2
    INVALID_INPUT = 3
    LIMIT_EXCEEDED = 4
    COULD_NOT_ASK = 5
    CANNOT_ACCESS_FILE = 6
    NOT_THERE = 7
    NOT_READY = 8
    REFUSED = 9
    DAMAGED = 10
    JOB_FAILED = 11
    PACKAGES_FAILED = 12


class SpacktainersError(Exception):
    """Base of the errors that are reported without a traceback."""

    exit_code: ExitCode = ExitCode.BUG


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong in a file, at a place that an editor can jump to (line and column count from 1)."""

    path: str
    line: int
    column: int
    message: str
    hint: str = ""

    def __str__(self) -> str:
        """`file:line:column: message; hint`."""
        text = f"{self.path}:{self.line}:{self.column}: {self.message}"
        return f"{text}; {self.hint}" if self.hint else text


class InvalidInputError(SpacktainersError):
    """What the user wrote cannot be used. Holds every fault that was found, in the order of files and places.

    At one place they keep the order in which they are given, so that a cause can stand before what follows from it.
    """

    exit_code = ExitCode.INVALID_INPUT

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(sorted(dict.fromkeys(faults), key=lambda fault: (fault.path, fault.line, fault.column)))
        super().__init__("\n".join(str(fault) for fault in self.faults))


class LimitExceededError(SpacktainersError):
    """GitLab would refuse the pipeline that was about to be written."""

    exit_code = ExitCode.LIMIT_EXCEEDED


class CouldNotAskError(SpacktainersError):
    """An outside system gave no usable answer. Never to be read as "it is not there"."""

    exit_code = ExitCode.COULD_NOT_ASK


class FileAccessError(SpacktainersError):
    """A file or folder could not be read or written."""

    exit_code = ExitCode.CANNOT_ACCESS_FILE


@contextmanager
def naming(path: object, *, always: bool = False) -> Iterator[None]:
    """Turns what the operating system refuses into a `FileAccessError` that names the file which it is about.

    That is the one that the operating system names, and `path` where it names none, as for a full disk; `always`
    `path` where it would name a temporary file that nobody asked for.
    """
    try:
        yield
    except OSError as error:
        place = path if always else error.filename or path
        hint = "; make room and run this again" if error.errno in _FULL else ""
        raise FileAccessError(f"{place}: {error.strerror or error}{hint}") from None


class NotThereError(SpacktainersError):
    """Something that the command was told to work on does not exist; asking was possible, and that was the answer."""

    exit_code = ExitCode.NOT_THERE


class NotReadyError(SpacktainersError):
    """Something that the command needs is being made and not ready yet, or is not installed."""

    exit_code = ExitCode.NOT_READY


class RefusedError(SpacktainersError):
    """The command could do what it was asked, and does not, because that would probably do harm."""

    exit_code = ExitCode.REFUSED


class DamagedError(SpacktainersError):
    """Something is not what it says it is: a checksum, a signature or an index does not fit."""

    exit_code = ExitCode.DAMAGED


class JobFailedError(SpacktainersError):
    """A job of a rehearsal failed, as it would in GitLab."""

    exit_code = ExitCode.JOB_FAILED
