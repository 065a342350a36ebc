"""Commands of `jc build` that look at a run, or end it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from foundation.command_line import Command, is_quiet, json_option
from foundation.errors import ExitCode

_LOOKING: Final = (ExitCode.NOT_THERE, ExitCode.DAMAGED)
_RUN: Final = click.argument("run", type=click.Path(path_type=Path, file_okay=False))


@click.command("status", cls=Command, exit_codes=_LOOKING)
@_RUN
@json_option
def status(run: Path, as_json: bool) -> None:
    """Say how far a run is. And what failed so far, the failure that keeps most others from being built first.

    \b
    Examples:
      jc build status jc-build-20261128-091500
      jc build status jc-build-20261128-091500 --json
    """
    import json

    from job_creator.runs import report
    from job_creator.runs.folder import RunFolder

    folder = RunFolder(run)
    made = report.make_report(folder.edges, folder.records())
    if as_json:
        click.echo(json.dumps({**report.report_value(made, str(run)), "driver": folder.driver()}, indent=2))
        return
    driver = folder.driver()
    if made.open and driver is None:
        click.echo("nobody is at work on it; 'jc build' with the same mirror goes on")
    for line in report.report_lines(made, str(run)):
        click.echo(line)


@click.command("logs", cls=Command, exit_codes=_LOOKING)
@_RUN
@click.argument("package", metavar="NAME|HASH")
@click.option("--attempt", type=click.IntRange(1), help="Which one.  [default: the last]")
def logs(run: Path, package: str, attempt: int | None) -> None:
    """Print what the build of a package said.

    \b
    Example:
      jc build logs jc-build-20261128-091500 hdf5
    """
    from foundation.doors.files import read_file
    from job_creator.runs.folder import RunFolder

    for path in RunFolder(run).logs_of(package, attempt):
        click.echo(read_file(path).decode("utf-8", "replace"), nl=False)


@click.command("cancel", cls=Command, exit_codes=(*_LOOKING, ExitCode.COULD_NOT_ASK, ExitCode.NOT_READY))
@_RUN
def cancel(run: Path) -> None:
    """End a run. What is built already stays in the build cache.

    \b
    Example:
      jc build cancel jc-build-20261128-091500
    """
    from job_creator.runs.engines import cancel_run
    from job_creator.runs.folder import RunFolder

    done = cancel_run(RunFolder(run))
    if not is_quiet():
        click.echo(done)


COMMANDS: tuple[click.Command, ...] = (status, logs, cancel)
