"""What all commands of `jc` are told, and options that several of them have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from foundation.command_line import is_quiet
from foundation.errors import ExitCode


@dataclass(frozen=True)
class Options:
    """What holds for all commands."""

    directory: Path
    """The repository."""
    site_file: str
    environment: Mapping[str, str]
    """The process's environment variables."""

    @property
    def quiet(self) -> bool:
        """Whether only errors are printed: `-q` may come after the sub-command, too."""
        return is_quiet()


READING: Final = (ExitCode.INVALID_INPUT,)
"""How commands end that cannot use what the user wrote."""
PLANNING: Final = (*READING, ExitCode.LIMIT_EXCEEDED, ExitCode.COULD_NOT_ASK)
"""How commands end that cannot make a pipeline of it."""
ONLY: Final = click.option(
    "--only",
    multiple=True,
    metavar="CONTAINER",
    envvar="SPACKTAINERS_ONLY",
    help="Leave all other containers as they are. May be repeated. [variable: SPACKTAINERS_ONLY]",
)
FORCE: Final = click.option(
    "--force",
    "forced",
    multiple=True,
    metavar="NAME",
    envvar="SPACKTAINERS_FORCE",
    help="Build this base image or container in any case, or 'all'. May be repeated. [variable: SPACKTAINERS_FORCE]",
)
ENDPOINT: Final = click.option(
    "--endpoint-url",
    metavar="URL",
    help="The S3 server, if not Amazon's. [variables: AWS_ENDPOINT_URL, S3_ENDPOINT_URL]",
)
SPACK: Final = click.option(
    "--spack", "program", default="spack", show_default=True, metavar="PROGRAM", help="Which Spack."
)
SCOPES: Final = click.option(
    "--scope",
    "scopes",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    multiple=True,
    help="A folder with configuration for it, such as where its package repository is. May be repeated.",
)
OFFLINE: Final = click.option(
    "--offline", is_flag=True, help="Ask no registry and no git server; plan as if nothing were published."
)


class FuseType(click.ParamType[str | int]):
    """`off`, `auto`, or seconds as a number."""

    name = "off|auto|SECONDS"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str | int:
        """Raises `click.BadParameter` for anything else."""
        text = str(value)
        if text in ("off", "auto"):
            return text
        if not text.isdecimal() or int(text) < 1:
            self.fail(f"{text!r} is neither 'off' nor 'auto' nor a number of seconds above 0", param, ctx)
        return int(text)
