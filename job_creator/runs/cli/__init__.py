"""`jc build`."""

from __future__ import annotations

import click

from foundation.command_line import Group
from job_creator.runs.cli.looking import COMMANDS as LOOKING
from job_creator.runs.cli.starting import start


@click.group("build", cls=Group, exit_codes=(), default_command="start")
def build() -> None:
    """Build packages into a build cache. On this machine, without GitLab.

    'jc build' followed by anything but one of these commands is 'jc build start'.

    \b
    Examples:
      jc build amd64/neuron --mirror s3://cache/amd64
      jc build spack.lock locks/ --mirror /shared/cache -j 16
      jc build status jc-build-20261128-091500
    """


for _command in (start, *LOOKING):
    build.add_command(_command)
