"""`jc doctor`: what is wrong, before the first pipeline says it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from foundation.command_line import Command, console, json_option
from foundation.errors import ExitCode
from job_creator.options import READING, Options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from job_creator.diagnosis.diagnoses import Diagnosis

_COLOURS: Final = {"ok": "green", "warning": "yellow", "fault": "red", "not checked": "dim"}


@click.command("doctor", cls=Command, exit_codes=(*READING, ExitCode.NOT_READY))
@click.option(
    "--project", envvar="CI_PROJECT_ID", show_envvar=True, default="", help="The GitLab project, as id or path."
)
@click.option(
    "--api-url",
    envvar="CI_API_V4_URL",
    show_envvar=True,
    default="",
    help="GitLab's API, such as https://gitlab.example.org/api/v4.",
)
@click.option(
    "--private-token-file",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="A file with an access token, if no variable has it: scope read_api, and the role Maintainer to see variables "
    "and runners.  [variable: what 'gitlab: api_token_variable' of the site file names]",
)
@json_option
@click.pass_obj
def doctor(options: Options, project: str, api_url: str, private_token_file: Path | None, as_json: bool) -> None:
    """Say what is wrong before a pipeline does. With machine, registry, buckets, keys and GitLab project.

    Everything is asked with the keys and logins that the CI/CD variables of the site file hold, as far as they are set
    here; what could not be asked is told. Nothing is changed: an upload to a registry or bucket is begun and given up.
    Without a site file, only this machine is looked at. Ends with code 8 if there is a fault.

    \b
    Examples:
      jc doctor
      jc doctor --project group/containers --api-url https://gitlab.example.org/api/v4 --private-token-file token
      jc doctor --json > health.json
    """
    from foundation.doors.files import read_file
    from job_creator import inputs
    from job_creator.diagnosis.diagnoses import Health, Patient, worst
    from job_creator.diagnosis.rounds import GitLabAccess, examine

    has_site = (options.directory / options.site_file).exists()
    site = inputs.read_site_file(options.directory, options.site_file) if has_site else None
    token = read_file(private_token_file).decode(errors="replace").strip() if private_token_file else ""
    if site and not token:
        token = options.environment.get(site.gitlab.api_token_variable, "")
    found = examine(site, options.environment, GitLabAccess(api_url, project, token))
    if site is None:
        advice = "'jc init' makes one; -C names another folder"
        found = (*found, Patient("site", options.site_file).not_checked("there is none here", advice))
    if as_json:
        click.echo(json.dumps([one.as_value() for one in found], indent=2))
    else:
        _print(found, quiet=options.quiet)
    if worst(found) is Health.FAULT:
        sys.exit(ExitCode.NOT_READY)


def _print(found: Sequence[Diagnosis], *, quiet: bool) -> None:
    """A line for each, with what to do below what is not well; `quiet`, only faults."""
    from rich.text import Text

    from foundation.tables import print_table
    from job_creator.diagnosis.diagnoses import Health, counted

    shown = [one for one in found if one.health is Health.FAULT] if quiet else found
    rows = [
        (
            Text(str(one.health), style=_COLOURS[one.health]),
            one.area,
            one.subject,
            f"{one.said}; {one.advice}" if one.advice else one.said,
        )
        for one in shown
    ]
    if rows:
        print_table(("health", "area", "what", "said"), rows, console())
    if not quiet:
        click.echo(", ".join(counted(found)))
