"""What the commands `jc`, `ga` and `spackitor` share: errors that end in a message and an exit code, the console."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TextIO

import click

from job_creator.errors import ExitCode, InvalidInputError, SpacktainersError, naming

if TYPE_CHECKING:
    from rich.console import Console

_ENDED_BY_SIGPIPE: Final = 141
"""What shells report of a Unix tool that ended because nobody read on."""
_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(i?)B?", re.IGNORECASE)
CONTEXT_SETTINGS: Final = {"help_option_names": ["-h", "--help"]}

_CAUSES: Final = {
    ExitCode.OK: "done",
    ExitCode.BUG: "a bug (with a traceback; please report it)",
    ExitCode.USAGE: "wrong usage of the command line",
    ExitCode.INVALID_INPUT: "a file that you wrote is invalid; every fault is listed with its place",
    ExitCode.LIMIT_EXCEEDED: "GitLab would refuse the result; the limits are listed",
    ExitCode.COULD_NOT_ASK: "a server gave no usable answer; nothing was decided",
    ExitCode.CANNOT_ACCESS_FILE: "a file cannot be read or written",
    ExitCode.NOT_THERE: "what the command was told to work on does not exist",
    ExitCode.NOT_READY: "what the command needs is not ready yet, or a mirror is incomplete",
    ExitCode.REFUSED: "refused, because it would probably do harm",
    ExitCode.DAMAGED: "what is there is damaged: a checksum, a signature or an index does not fit",
    ExitCode.JOB_FAILED: "a job of the rehearsal failed; its log is shown",
}


def exit_codes(*codes: ExitCode) -> str:
    """The table of a command's exit codes for the end of its help."""
    listed = sorted({ExitCode.OK, ExitCode.BUG, ExitCode.USAGE, *codes})
    lines = [f"  {code.value:<2}  {_CAUSES[code]}" for code in listed]
    return "\b\nExit codes:\n" + "\n".join(lines) + "\n"


class _EndsWithItsCause:
    """Turns the errors that end a command on purpose into a message and an exit code; bugs keep their traceback."""

    def main(self, *arguments: Any, **options: Any) -> Any:
        """Run the command, from its command line to its exit code."""
        output = _Output(sys.stdout)
        try:
            sys.stdout = output
            return super().main(*arguments, **options)  # type: ignore[misc]
        except SpacktainersError as error:
            click.echo(click.style("error: ", fg="red", bold=True) + shown(error), err=True)
            sys.exit(int(error.exit_code))
        except _NobodyReadsError:
            sys.exit(_ENDED_BY_SIGPIPE)
        finally:
            sys.stdout = output.given_back()


def shown(error: SpacktainersError) -> str:
    """What is said of an error: faults have a line each, which begins with the place, so that editors find it."""
    if not isinstance(error, InvalidInputError):
        return str(error)
    count = len(error.faults)
    return f"{count} {'fault' if count == 1 else 'faults'}\n{error}"


class _NobodyReadsError(Exception):
    """Who read what the command prints has seen enough, as `head` does."""


class _Output:
    """Standard output, whose failures end the command by their cause; click and rich would take them for bugs."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._has_failed = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Print."""
        with self._explained():
            return self._stream.write(text)

    def flush(self) -> None:
        """Print now."""
        with self._explained():
            self._stream.flush()

    def given_back(self) -> TextIO:
        """The stream itself. After a failure what is left in its buffers goes nowhere: Python would try it again."""
        if self._has_failed:
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
        return self._stream

    @contextmanager
    def _explained(self) -> Iterator[None]:
        with naming("standard output"):
            try:
                yield
            except OSError as error:
                self._has_failed = True
                if isinstance(error, BrokenPipeError):
                    raise _NobodyReadsError from None
                raise


class Group(_EndsWithItsCause, click.Group):
    """A command with sub-commands."""


class Command(_EndsWithItsCause, click.Command):
    """A command without."""


def console() -> Console:
    """Where tables are printed: with colour on a terminal, plain text elsewhere."""
    from rich.console import Console

    return Console()


class Size(click.ParamType):  # type: ignore[type-arg]  # generic in some versions of click only
    """Bytes, as in 500GiB or 4G; `least` of them."""

    name = "size"

    def __init__(self, least: int = 0) -> None:
        self.least = least

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read a size."""
        match = _SIZE.fullmatch(str(value))
        if not match:
            self.fail(f"{value!r} is no size; write 500GiB, 4G or a number of bytes", param, ctx)
        size = int(float(match[1]) * (1024 if match[3] else 1000) ** " KMGT".index(match[2].upper() or " "))
        if size < self.least:
            self.fail(f"{value!r} is too small; {self.least // 1024} KiB is the least", param, ctx)
        return size
