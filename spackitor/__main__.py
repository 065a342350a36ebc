"""The command line. The only reader of the process environment."""

from __future__ import annotations

import os
from typing import Final

import click

from job_creator import __version__
from job_creator.command_line import CONTEXT_SETTINGS, Group, exit_codes
from job_creator.errors import ExitCode
from spackitor.cli import looking, recording, removing

_EXIT_CODES: Final = exit_codes(
    ExitCode.INVALID_INPUT,
    ExitCode.COULD_NOT_ASK,
    ExitCode.CANNOT_ACCESS_FILE,
    ExitCode.NOT_THERE,
    ExitCode.REFUSED,
    ExitCode.DAMAGED,
)


@click.group(cls=Group, epilog=_EXIT_CODES, context_settings=CONTEXT_SETTINGS)
@click.version_option(__version__, package_name="spacktainers", prog_name="spackitor")
@click.option("-v", "--verbose", count=True, help="Say more; twice is the most.")
@click.option("-q", "--quiet", is_flag=True, help="Only say what went wrong.")
@click.pass_context
def main(context: click.Context, verbose: int, quiet: bool) -> None:
    """Keep a Spack build cache small, correct and recoverable.

    MIRROR is s3://bucket/prefix, file:///folder or a folder. For S3, keys come from where boto3 looks for them
    (environment, profile, role); without any, the mirror is read anonymously.

    \b
    Examples:
      spackitor clean s3://cache/amd64 --max-age 30 -e spack.lock --dry-run
      spackitor keep s3://cache/amd64 -e spack.lock --as main
      spackitor stats /shared/cache
      spackitor restore s3://cache/amd64
    """
    from job_creator.logging_config import configure

    configure(-1 if quiet else verbose, "spackitor")
    context.obj = os.environ


for _command in (
    removing.clean,
    removing.purge,
    removing.restore,
    removing.empty_quarantine,
    recording.keep,
    recording.forget,
    recording.show_roots,
    looking.list_specs,
    looking.stats,
    looking.check,
    looking.reindex,
):
    main.add_command(_command)


if __name__ == "__main__":
    main()
