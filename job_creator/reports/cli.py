"""`jc report`: what a push changes, before anything is built."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from foundation.command_line import Group, console, format_option
from foundation.errors import ExitCode
from job_creator.options import READING

_LOCKFILES = click.Path(path_type=Path, exists=True)


@click.group("report", cls=Group, exit_codes=())
def report() -> None:
    """Say what changes, and why.

    \b
    Example:
      jc report changes before/spack.lock after/spack.lock
    """


@report.command("changes", exit_codes=(*READING, ExitCode.NOT_THERE))
@click.argument("before", type=_LOCKFILES)
@click.argument("after", type=_LOCKFILES)
@click.option(
    "--durations",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help='Expected seconds by package, JSON as in {"llvm": 5400, "*": 90}, or records that package jobs left.',
)
@format_option("markdown")
def changes_command(before: Path, after: Path, durations: Path | None, form: str) -> None:
    """Say which packages of lockfiles are other ones, and why. A change goes through all that depends on it, so root
    causes are told, with how many packages follow each.

    BEFORE and AFTER are lockfiles, or folders, of which all files called '*.lock' count together: what the jobs of two
    pipelines left. '--format markdown' is for a merge request. Nobody is asked anything.

    \b
    Examples:
      jc report changes main/spack.lock branch/spack.lock
      jc report changes main/jobs_scratch_dir.amd64 branch/jobs_scratch_dir.amd64 --format markdown
      jc report changes before.lock after.lock --json
    """
    from foundation.tables import print_table
    from job_creator.builds.durations import default_durations, read_durations
    from job_creator.reports import changes_text
    from job_creator.reports.changes import compare
    from job_creator.reports.locked import read_packages

    expected = read_durations(durations.read_bytes(), str(durations)) if durations else default_durations()
    found = compare(read_packages(before), read_packages(after), expected)
    if form == "json":
        click.echo(json.dumps(found.as_value(), indent=2))
    elif form == "markdown":
        click.echo(changes_text.markdown(found), nl=False)
    else:
        table: list[tuple[Any, ...]] = [*changes_text.rows(found)]
        if table:
            print_table(changes_text.HEADINGS, table, console())
        for line in changes_text.summary(found):
            click.echo(line)
