"""What the commands `jc`, `ga` and `spackitor` share: the shape of commands, the console.

Every command is a `Command` or a `Group` of this module, so that none lacks what all have.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TextIO, TypeVar

import click
from click.core import ParameterSource

from foundation.errors import ExitCode, InvalidInputError, SpacktainersError, naming

if TYPE_CHECKING:
    from rich.console import Console

_ENDED_BY_SIGPIPE: Final = 141
"""What shells report of a Unix tool that ended because nobody read on."""
_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(i?)B?", re.IGNORECASE)
_VERBOSE: Final = f"{__name__}.verbose"
_QUIET: Final = f"{__name__}.quiet"
_JSON: Final = "json"
_Decorated = TypeVar("_Decorated", bound=Callable[..., Any])
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
    ExitCode.NOT_READY: "what the command needs is not ready yet or not installed, or a mirror is incomplete",
    ExitCode.REFUSED: "refused, because it would probably do harm",
    ExitCode.DAMAGED: "what is there is damaged: a checksum, signature or index does not fit",
    ExitCode.JOB_FAILED: "a job of the rehearsal failed; its log is shown",
    ExitCode.PACKAGES_FAILED: "a package was not built; what does not need it was",
}


_CODES_OF_ALL: Final = {ExitCode.OK, ExitCode.BUG, ExitCode.USAGE, ExitCode.CANNOT_ACCESS_FILE}
"""Also the last: standard output is a file."""


class _Shared:
    """What every command has: its exit codes, `-v` and `-q`, and errors that end in a message and an exit code.

    A command names the codes that it ends with, beside 0, 1, 2 and 6, which all have. Bugs keep their traceback.
    """

    def __init__(self, *arguments: Any, exit_codes: Iterable[ExitCode], **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self._exit_codes = frozenset(exit_codes)
        self.params: list[click.Parameter] = [*self.params, *_verbosity_options()]

    @property
    def exit_codes(self) -> frozenset[ExitCode]:
        """All codes that the command may end with."""
        return self._exit_codes | _CODES_OF_ALL

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table of exit codes, at the end of the help."""
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(int(code)), _CAUSES[code]) for code in sorted(self.exit_codes)])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, when all that its own command line says is known."""
        from foundation.logging_config import configure

        configure(-1 if is_quiet(ctx) else ctx.meta[_VERBOSE])
        return super().invoke(ctx)  # type: ignore[misc]

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


class Command(_Shared, click.Command):
    """A command without sub-commands."""


class Group(_Shared, click.Group):
    """A command with sub-commands; it ends with the codes of any of them.

    Where a `default_command` is named, what follows and begins with no command is for that one.
    """

    command_class = Command

    def __init__(self, *arguments: Any, default_command: str = "", **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.default_command = default_command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments, those of the default command as if that was named."""
        names_none = bool(args) and args[0] not in self.commands and args[0] not in ctx.help_option_names
        return super().parse_args(ctx, [self.default_command, *args] if self.default_command and names_none else args)

    @property
    def exit_codes(self) -> frozenset[ExitCode]:
        """The codes of all sub-commands."""
        codes = (command.exit_codes for command in self.commands.values() if isinstance(command, _Shared))
        return super().exit_codes.union(*codes)


def is_quiet(ctx: click.Context | None = None) -> bool:
    """Whether `-q` was said, before or after the sub-command."""
    return bool((ctx or click.get_current_context()).meta[_QUIET])


def _verbosity_options() -> Iterator[click.Option]:
    """New ones for each command, whose values add up along the command line, as in `jc -v plan -v`."""
    for flag, name, key, text in (
        ("-v", "--verbose", _VERBOSE, "Say more; twice, also when and where in the code."),
        ("-q", "--quiet", _QUIET, "Only say what went wrong."),
    ):
        yield click.Option([flag, name], count=True, expose_value=False, callback=partial(_add, key), help=text)


def _add(key: str, ctx: click.Context, _: click.Parameter, count: int) -> None:
    ctx.meta[key] = ctx.meta.get(key, 0) + count


def json_option(command: _Decorated) -> _Decorated:
    """The options `--format` and `--json` of a command with results; it gets `as_json`."""
    return _format_options(command, "as_json", ("text", _JSON), lambda form: form == _JSON)


def format_option(*formats: str) -> Callable[[_Decorated], _Decorated]:
    """The same with more formats than text and JSON; the command gets the name of the format as `form`."""
    return lambda command: _format_options(command, "form", ("text", _JSON, *formats), str)


def _format_options(
    command: _Decorated, name: str, formats: Sequence[str], value_of: Callable[[str], Any]
) -> _Decorated:
    def note(ctx: click.Context, _: click.Parameter, value: bool) -> None:
        ctx.meta[_JSON] = value

    def one(ctx: click.Context, param: click.Parameter, form: str) -> Any:
        if not ctx.meta[_JSON]:
            return value_of(form)
        if form != _JSON and ctx.get_parameter_source(name) is not ParameterSource.DEFAULT:
            raise click.BadParameter(f"--json is short for '--format json'; leave out --json or '--format {form}'")
        return value_of(_JSON)

    # Eager, so that it is known when --format is looked at, in whatever order they were said.
    short = click.option(
        "--json", is_flag=True, is_eager=True, expose_value=False, callback=note, help="Short for --format json."
    )
    long = click.option(
        "--format",
        name,
        type=click.Choice(formats),
        default="text",
        show_default=True,
        callback=one,
        help="How results are printed: text for people, the others for programs.",
    )
    return long(short(command))


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
