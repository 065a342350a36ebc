"""The command line: reads options and environment, and prints what came of it. The only reader of the environment."""

from __future__ import annotations

import logging
import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Final, NoReturn, TextIO, TypedDict, TypeVar, Unpack
from urllib.parse import urlsplit

import click

from foundation.command_line import CONTEXT_SETTINGS, Command, is_quiet, json_option
from foundation.errors import ExitCode, InvalidInputError
from foundation.gitlab import API_TOKEN_VARIABLE, MAX_ARTIFACT_BYTES
from job_creator import __version__, project_files
from job_creator.engines.gitlab import names

if TYPE_CHECKING:
    from rich.console import Console

    from foundation.yaml_io import Document
    from get_artifacts.collection import GatherRequest
    from get_artifacts.session import Credential

logger = logging.getLogger("get_artifacts")

_MIB: Final = 1 << 20
T = TypeVar("T")
_TOKEN: Final = re.compile(r"[\x21-\x7e]+")


class _Choice(TypedDict):
    """The values of the options that say what is fetched, and what becomes of it."""

    out_dir: Path
    bridges: tuple[str, ...]
    jobs: tuple[str, ...]
    paths: tuple[str, ...]
    no_unpack: bool
    dotenv: Path
    wait: float
    max_files: int
    max_unpacked: int
    """In MiB."""


@click.command(
    cls=Command,
    exit_codes=(
        ExitCode.INVALID_INPUT,
        ExitCode.LIMIT_EXCEEDED,
        ExitCode.COULD_NOT_ASK,
        ExitCode.NOT_THERE,
        ExitCode.NOT_READY,
        ExitCode.REFUSED,
        ExitCode.DAMAGED,
    ),
    context_settings=CONTEXT_SETTINGS,
)
@click.version_option(__version__, package_name="spacktainers", prog_name="ga")
@click.option(
    "-P",
    "--parent-pipeline",
    type=click.IntRange(min=1),
    envvar="CI_PIPELINE_ID",
    show_envvar=True,
    required=True,
    help="Id of the pipeline whose child pipelines are looked through.",
)
@click.option("--project", envvar="CI_PROJECT_ID", show_envvar=True, required=True, help="Its project, as id or path.")
@click.option(
    "--api-url",
    envvar="CI_API_V4_URL",
    show_envvar=True,
    required=True,
    help="The server's API, as in https://gitlab.example.org/api/v4.",
)
@click.option(
    "-t",
    "--private-token",
    help="An access token with the scope read_api. Others on this machine can read it here: "
    f"set the variable {API_TOKEN_VARIABLE} instead, or use --private-token-file.",
)
@click.option(
    "--private-token-file",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="A file that holds that token.",
)
@click.option(
    "-o",
    "--out-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=".",
    show_default=True,
    help="Where the folders go.",
)
@click.option(
    "--bridge",
    "bridges",
    multiple=True,
    default=(names.BASE_BRIDGE,),
    show_default=True,
    metavar="GLOB",
    help="Only look below trigger jobs of this name; may be repeated.",
)
@click.option(
    "--job",
    "jobs",
    multiple=True,
    metavar="GLOB",
    help="Fetch from jobs of this name; may be repeated. By default from those that write pipelines: "
    f"'{names.process_job('*')}', '{names.containers_job('*')}'.",
)
@click.option(
    "--path",
    "paths",
    multiple=True,
    metavar="GLOB",
    help="Only unpack files of this path; ** also fits slashes; may be repeated. "
    "By default the pipelines of the jobs above, and everything of other jobs.",
)
@click.option("--no-unpack", is_flag=True, help="Keep the archives as they are, as <folder>.zip.")
@click.option(
    "--dotenv",
    type=click.Path(path_type=Path, dir_okay=False),
    default=names.DOTENV_FILE,
    show_default=True,
    help="Where a line <architecture>=yes is written for each architecture that is complete.",
)
@click.option(
    "--wait",
    type=click.FloatRange(min=0),
    default=0,
    metavar="SECONDS",
    help="Wait so long at most for jobs to end. By default not at all.",
)
@click.option(
    "--max-files",
    type=click.IntRange(min=1),
    default=20_000,
    show_default=True,
    help="How many files an archive may hold.",
)
@click.option(
    "--max-unpacked",
    type=click.IntRange(min=1),
    default=1024,
    show_default=True,
    metavar="MIB",
    help="To how many MiB an archive may unpack.",
)
@click.option(
    "--site", "site_file", default=project_files.SITE_FILE, show_default=True, help="The site file, if there is one."
)
@json_option
def main(
    parent_pipeline: int,
    project: str,
    api_url: str,
    private_token: str | None,
    private_token_file: Path | None,
    site_file: str,
    as_json: bool,
    **options: Unpack[_Choice],
) -> None:
    """Fetch what the child pipelines of a running pipeline left, for the triggers that come next.

    GitLab lets a trigger take its YAML only from a job of its own pipeline. Run in such a job, ga brings it there.

    \b
    Examples:
      ga                                       in a job: all that the next triggers need
      ga --wait 600                            the same, as soon as it is there
      ga --job '*for amd64' --path '**'        everything that these jobs left
      ga -P 4711 --project group/containers --api-url https://gitlab.example.org/api/v4 --no-unpack
    """
    from get_artifacts import report
    from get_artifacts.collection import gather
    from get_artifacts.gitlab_api import GitLabServer
    from get_artifacts.session import PATIENCE

    variable, max_archive_bytes = _settings(site_file)
    credentials = _credentials(private_token, private_token_file, variable)
    request = _request(parent_pipeline, project, max_archive_bytes, options)
    url = _checked_url(api_url)
    with (
        _ending_on_sigterm(),
        _authorities() as authorities,
        closing(GitLabServer(url, credentials, PATIENCE, authorities=authorities)) as server,
    ):
        outcome = gather(server, request, PATIENCE, _terminal(sys.stderr))
    if as_json:
        click.echo(report.as_json(parent_pipeline, outcome.arrivals, [str(error) for error in outcome.errors]))
    elif not is_quiet():
        report.print_arrivals(outcome.arrivals, _terminal(sys.stdout))
    outcome.require_complete()


def _terminal(stream: TextIO) -> Console | None:
    """Where bars and tables are shown, if this is a terminal: jobs would wait for their import."""
    if not stream.isatty():
        return None
    from rich.console import Console

    return Console(file=stream)


def _request(parent: int, project: str, max_archive_bytes: int, options: _Choice) -> GatherRequest:
    from get_artifacts.archives import UnpackLimits
    from get_artifacts.collection import GatherRequest
    from get_artifacts.family import PipelineId
    from get_artifacts.selection import WantedArtifacts

    return GatherRequest(
        parent=PipelineId(int(project) if project.isdecimal() else project, parent),
        wanted=WantedArtifacts(options["bridges"], options["jobs"], options["paths"]),
        out_dir=options["out_dir"],
        dotenv=options["dotenv"],
        unpacks=not options["no_unpack"],
        wait_seconds=options["wait"],
        limits=UnpackLimits(options["max_files"], options["max_unpacked"] * _MIB),
        max_archive_bytes=max_archive_bytes,
    )


def _settings(site_file: str) -> tuple[str, int]:
    """The variable with the private token and the limit for archives; the usual ones where the site says nothing else.

    Only these two are looked at, since to read a whole site file takes longer than to fetch a few artifacts; the rest
    is `jc check`'s. Raises `InvalidInputError`.
    """
    if not Path(site_file).exists():
        return API_TOKEN_VARIABLE, MAX_ARTIFACT_BYTES
    from foundation.doors.files import read_file
    from foundation.yaml_io import parse

    document = parse(read_file(Path(site_file)), site_file)
    variable = _setting(document, ("gitlab", "api_token_variable"), API_TOKEN_VARIABLE)
    return variable, _setting(document, ("gitlab", "limits", "max_artifact_bytes"), MAX_ARTIFACT_BYTES)


def _setting(document: Document, location: tuple[str, ...], usual: T) -> T:
    """The value at a place of the site file, which has the type of what is usual there."""
    value = document.value
    for key in location:
        value = value.get(key) if isinstance(value, dict) else None
    if value is None:
        return usual
    if type(value) is not type(usual):
        hint = "'jc check' looks at the whole file"
        raise InvalidInputError([document.fault(location, f"no value for {'.'.join(location)}", hint)])
    return value


def _credentials(token: str | None, file: Path | None, variable: str) -> list[Credential]:
    """The tokens there are, that of the job first: it may least, and ends with the job."""
    from foundation.doors.files import read_file
    from get_artifacts.session import Credential

    if token:
        logger.warning("others can read a token in the command line; set %s or use --private-token-file", variable)
    elif file:
        token = read_file(file).decode(errors="replace")
    private = _checked_token(token or os.environ.get(variable, ""), "the private token")
    job = _checked_token(os.environ.get("CI_JOB_TOKEN", ""), "CI_JOB_TOKEN")
    return [*([Credential.of_job(job)] if job else []), *([Credential.private(private)] if private else [])]


def _checked_token(token: str, name: str) -> str:
    stripped = token.strip()
    if stripped and not _TOKEN.fullmatch(stripped):
        raise click.UsageError(f"{name} holds characters that no token has; it is not shown here")
    return stripped


def _checked_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.username and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise click.UsageError("CI_API_V4_URL or --api-url: must be an http(s) URL without user and password")
    return url


@contextmanager
def _authorities() -> Iterator[str | None]:
    """Whom to trust besides the usual authorities: that of the GitLab server, where its runner was told one.

    Source: "CI_SERVER_TLS_CA_FILE" in GitLab's docs, "Predefined CI/CD variables".
    """
    from foundation.doors.http import authorities_with

    path = os.environ.get("CI_SERVER_TLS_CA_FILE", "")
    if not path or os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE"):
        yield None
        return
    with authorities_with(path) as found:
        yield found


@contextmanager
def _ending_on_sigterm() -> Iterator[None]:
    """GitLab cancels jobs by SIGTERM; ending by an exception cleans up behind it."""

    def end(number: int, _: FrameType | None) -> NoReturn:
        sys.exit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


if __name__ == "__main__":
    main()
