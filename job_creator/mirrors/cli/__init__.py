"""`jc mirror`."""

from __future__ import annotations

import click

from foundation.command_line import Group
from job_creator.mirrors.cli.bundles import COMMANDS as CARRYING
from job_creator.mirrors.cli.filling import COMMANDS as PLANNING
from job_creator.mirrors.cli.keys import keys
from job_creator.mirrors.cli.verification import COMMANDS as CHECKING


@click.group("mirror", cls=Group, exit_codes=())
def mirror() -> None:
    """Mirrors for sites without internet. Of sources and of binaries.

    \b
    Examples:
      jc mirror plan spack.lock --to /shared/mirror      what is needed, what is missing, and why
      jc mirror create spack.lock --to /shared/mirror    fill it
      jc mirror verify /shared/mirror                    is everything there, and right?
      jc mirror export /shared/mirror -o /media/bundle   take it along
    """


for _command in (*PLANNING, *CHECKING, *CARRYING, keys):
    mirror.add_command(_command)
