"""`jc compile-pool config`: settings of an allocation, and its script."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Final

import click

from foundation.command_line import Group
from foundation.doors.files import read_file, write_files
from foundation.errors import ExitCode, Fault, InvalidInputError, RefusedError

_COMMENTS: Final = re.compile(r'("(?:[^"\\]|\\.)*")|//[^\n]*')
"""Texts, which may hold two slashes, and comments."""
_NAME: Final = click.argument("name", type=click.Path(path_type=Path, dir_okay=False))


@click.group("config", cls=Group, exit_codes=())
def config() -> None:
    """Run a compile pool in an allocation of a scheduler.

    \b
    Examples:
      jc compile-pool config new llvm.yaml
      jc compile-pool config scripts llvm.yaml
    """


@config.command("new", exit_codes=(ExitCode.INVALID_INPUT, ExitCode.REFUSED))
@_NAME
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="JSON that clustcc was configured with.",
)
def new_command(name: Path, source: Path | None) -> None:
    """Write a file of settings to begin with.

    NAME is the file, which must not be there already.

    \b
    Examples:
      jc compile-pool config new llvm.yaml
      jc compile-pool config new llvm.yaml --from clustcc.json
    """
    from job_creator.compile_pool.allocation.settings import of_clustcc, skeleton

    if name.exists():
        raise RefusedError(f"{name}: is there already; name another file, or remove this one")
    if source is None:
        text = skeleton()
    else:
        try:
            # Its example has comments, which JSON has not.
            value = json.loads(_COMMENTS.sub(lambda found: found[1] or "", read_file(source).decode()))
        except ValueError as error:
            raise InvalidInputError([Fault(str(source), 1, 1, f"is no JSON: {error}")]) from None
        text = of_clustcc(value if isinstance(value, dict) else {}, str(source))
    write_files(name.absolute().parent, {name.name: text.encode()})
    click.echo(f"{name}: change it, then run 'jc compile-pool config scripts {name}'")


@config.command("scripts", exit_codes=(ExitCode.INVALID_INPUT,))
@_NAME
def scripts_command(name: Path) -> None:
    """Write the script for 'sbatch' or 'flux batch'.

    It is written beside the file of settings NAME.

    \b
    Example:
      jc compile-pool config scripts llvm.yaml
    """
    from foundation.validation import validate
    from foundation.yaml_io import parse
    from job_creator.compile_pool.allocation.script import pool_script
    from job_creator.compile_pool.allocation.settings import PoolFile

    settings = validate(PoolFile, parse(read_file(name), str(name)))
    program = [sys.executable, "-m", "job_creator"]
    script = name.with_suffix(".sh")
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name.stem)
    write_files(script.absolute().parent, {script.name: pool_script(settings, plain, program).encode()})
    submit = "sbatch" if settings.scheduler == "slurm" else "flux batch"
    click.echo(f"{script}: submit it with '{submit} {script}'")
