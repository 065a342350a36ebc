"""`jc reproduce`. Imports stand in the functions, so that `jc --help` answers at once."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from foundation.command_line import Command, json_option
from foundation.errors import ExitCode, NotThereError, RefusedError
from foundation.gitlab import API_TOKEN_VARIABLE
from job_creator.options import READING, Options

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from job_creator.reproduction.container_build import FoundContainer
    from job_creator.reproduction.gitlab_jobs import JobAddress
    from job_creator.site.site import Site


@dataclass(frozen=True)
class _Folder:
    """What is written, and told of it."""

    files: Mapping[str, bytes]
    what: str
    facts: Mapping[str, Any]
    commit: str = ""
    from_checkout: Sequence[str] = ()
    """Files and folders of that commit, which come below `below`."""
    below: str = ""
    url: str = ""
    """Where the commit is to be had, if not here."""
    unknown: Sequence[str] = field(default=())


@click.command(
    "reproduce",
    cls=Command,
    exit_codes=(*READING, ExitCode.COULD_NOT_ASK, ExitCode.NOT_THERE, ExitCode.REFUSED, ExitCode.DAMAGED),
)
@click.argument("what", metavar="JOB-URL|SIF|IMAGE")
@click.option(
    "--out-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder that is written, which must be empty.  [default: reproduce-NAME]",
)
@click.option("--commit", default="", help="The commit of the repository, where the container does not say it.")
@click.option("--architecture", default="amd64", show_default=True, help="Which image of an index, as OCI says.")
@click.option(
    "--private-token-file",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="A file with an access token of GitLab (scope read_api), if no variable has it.  [variable: what 'gitlab: "
    f"api_token_variable' of the site file names, or {API_TOKEN_VARIABLE}]",
)
@json_option
@click.pass_obj
def reproduce(options: Options, /, what: str, out_dir: Path | None, as_json: bool, **told: Any) -> None:
    """Repeat a build on another machine. Writes a folder with a script for that, 'reproduce.sh', which needs no 'jc'.

    JOB-URL is the address of a job that built packages or a container, whatever became of it. Its script builds the
    same packages from the same lockfile, in the same image or with the same commits of Spack and of the recipes; or the
    same image from the same files. Nothing is pushed. The artifacts of the pipeline must not have expired.

    Of a SIF file or an image, the build is planned again from the commit that it was made from, which the repository
    here must have; what of it is not as it was is told. That runs the template of Dockerfiles of that commit.

    \b
    Examples:
      jc reproduce https://gitlab.example.org/group/containers/-/jobs/4711
      sh reproduce-4711/reproduce.sh
      sh reproduce-4711/reproduce.sh clone shell
      jc reproduce /containers/hdf5-stack/current --out-dir again
      jc reproduce registry.example.org/group/hdf5-stack:1.14.5 --commit 6f1ed002
    """
    from foundation.doors.files import write_files
    from job_creator.reproduction.checkout import place_files

    name = Path(what.partition("@")[0].rstrip("/")).name.replace(":", "-")
    target = out_dir or Path(f"reproduce-{name}")
    if target.exists() and any(target.iterdir()):
        raise RefusedError(f"{target}: there is something in it already; name another folder with --out-dir")
    made = _made(what, options, **told)
    place_files(made.commit, made.from_checkout, options.directory, made.url, target / made.below)
    write_files(target, made.files)
    if as_json:
        click.echo(json.dumps({"folder": str(target), **made.facts, "unknown": made.unknown}, indent=2))
    elif not options.quiet:
        click.echo(f"wrote {target} for {made.what}")
        for one in made.unknown:
            click.echo(f"not known: {one}")
        click.echo(f"Next: sh {target}/reproduce.sh")


def _made(what: str, options: Options, *, private_token_file: Path | None, commit: str, architecture: str) -> _Folder:
    """A job, a file, or an image."""
    from foundation.doors.files import read_file
    from foundation.stores.schemes import WEB_SERVER, kind_of
    from job_creator import inputs
    from job_creator.reproduction.gitlab_jobs import JobAddress

    has_site = (options.directory / options.site_file).is_file()
    site = inputs.read_site_file(options.directory, options.site_file) if has_site else None
    if kind_of(what) is not WEB_SERVER:
        return _of_published(what, options, site, commit, architecture)
    if commit:
        raise click.UsageError("--commit is for files and images; a job says of which commit it is")
    try:
        address = JobAddress.parse(what)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="JOB-URL") from None
    token = options.environment.get(site.gitlab.api_token_variable if site else API_TOKEN_VARIABLE, "")
    if private_token_file:
        token = read_file(private_token_file).decode(errors="replace").strip()
    return _of_job(address, token, what, site)


def _of_job(address: JobAddress, token: str, url: str, site: Site | None) -> _Folder:
    from job_creator.reproduction import package_job
    from job_creator.reproduction.container_job import container_of, found_container
    from job_creator.reproduction.finding import found_job
    from job_creator.reproduction.gitlab_jobs import JobsOfProject
    from job_creator.site.spack import Signing

    project = JobsOfProject(address, token)
    job = project.job(address.job)
    repository = f"{address.server}/{address.project}.git"
    if container_of(job):
        return _of_container(found_container(project, job, url, site), repository)
    signing = site.signing if site else Signing()
    found = found_job(project, job, url)
    made = package_job.package_folder(found, site.spack if site else None, signing.public_key_variable)
    return _Folder(
        made.files,
        f"{len(made.packages)} packages: {', '.join(made.packages)}",
        {"packages": made.packages, "image": made.image, "commit": job.commit},
        job.commit,
        made.recipes,
        package_job.RECIPES,
        repository,
        made.unknown,
    )


def _of_published(what: str, options: Options, site: Site | None, commit: str, platform: str) -> _Folder:
    from dataclasses import replace

    from foundation.registries.images import RegistryClient
    from foundation.registries.logins import logins
    from job_creator.provenance.signing import public_key
    from job_creator.reproduction.planned_again import planned_again
    from job_creator.reproduction.published import of_image, of_sif

    client = RegistryClient(logins(options.environment))
    if Path(what).exists():
        published = of_sif(Path(what))
    elif what.endswith(".sif") or what.startswith(("/", ".")):
        raise NotThereError(f"{what}: there is no such file")
    else:
        keys = public_key(site.signing, options.environment) if site else None
        try:
            published = of_image(client, what, platform, keys)
        except ValueError as error:
            raise click.BadParameter(f"{what!r} is no image: {error}", param_hint="JOB-URL|SIF|IMAGE") from None
    published = replace(published, commit=commit or published.commit)
    again = planned_again(published, options.directory, options.site_file, client)
    different = [f"what the container had as {name}: this build has something else" for name in again.differences]
    return _of_container(again.found, "", different)


def _of_container(found: FoundContainer, url: str, unknown: Sequence[str] = ()) -> _Folder:
    from job_creator.reproduction.container_build import CONTEXT, container_folder

    facts = {"container": found.name, "commit": found.commit, "images": found.lines("images")}
    files = container_folder(found)
    what = f"the image of {found.name}"
    return _Folder(files, what, facts, found.commit, found.from_checkout, CONTEXT, url, unknown)
