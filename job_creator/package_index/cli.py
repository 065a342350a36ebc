"""`jc index`: what checks know of packages without a Spack."""

from __future__ import annotations

import json
from pathlib import Path

import click

from foundation.command_line import Command, Group, json_option
from foundation.errors import ExitCode
from job_creator import project_files
from job_creator.options import READING, SCOPES, SPACK, Options

_CODES = (*READING, ExitCode.COULD_NOT_ASK, ExitCode.NOT_THERE, ExitCode.NOT_READY, ExitCode.REFUSED)


@click.group(cls=Group, exit_codes=())
def index() -> None:
    """Write down what a package repository has.

    \b
    Examples:
      jc index packages --spack ~/spack/bin/spack
    """


@index.command(cls=Command, exit_codes=_CODES)
@click.option(
    "-o",
    "--output-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help=f"Where it goes.  [default: {project_files.PACKAGE_INDEX} in the repository]",
)
@SPACK
@SCOPES
@click.option("--ref", default="", metavar="REF", help="Of which the recipes are, if they are in no git checkout.")
@click.option(
    "--fetch",
    is_flag=True,
    help="Ask the Spack that the site file pins, with the recipes that it pins. Both are fetched for that, unless the "
    "file is of them already.",
)
@json_option
@click.pass_obj
def packages(
    options: Options,
    output_file: Path | None,
    program: str,
    scopes: tuple[Path, ...],
    ref: str,
    fetch: bool,
    as_json: bool,
) -> None:
    """Index packages, variants and their values. Then 'jc check' knows misspelt ones, and needs no Spack.

    The index is of the commit that is checked out, and counts while the site file pins that commit or a tag of it.

    \b
    Examples:
      jc index packages
      jc index packages --fetch
      jc index packages --spack ~/spack/bin/spack -o index.json
    """
    from foundation.doors.files import write_files
    from foundation.spack.package_index import read_package_index
    from foundation.spack.program import SpackProgram
    from job_creator.inputs import read_site_file
    from job_creator.package_index.building import build
    from job_creator.package_index.fetching import fetched

    if fetch and (program != "spack" or scopes or ref):
        raise click.UsageError("--fetch asks another Spack than --spack, --scope and --ref are about")
    site = read_site_file(options.directory, options.site_file)
    pinned = site.spack.recipes_ref
    path = output_file or options.directory / project_files.PACKAGE_INDEX
    built = fetched(site.spack, path) if fetch else build(SpackProgram(program, scopes=scopes), ref)
    write_files(path.parent, {path.name: built.content})
    is_pinned = read_package_index(built.content, str(path)).is_of(pinned)
    if as_json:
        value = {
            "file": str(path),
            "commit": built.commit,
            "refs": list(built.refs),
            "packages": built.packages,
            "virtuals": built.virtuals,
            "pinned": is_pinned,
        }
        click.echo(json.dumps(value, indent=2))
    elif not options.quiet:
        what = ", ".join(built.refs) or built.commit
        click.echo(f"wrote {path}: {built.packages} packages and {built.virtuals} virtual ones of {what}")
        if not is_pinned:
            click.echo(f"the site file pins {pinned}, so 'jc check' cannot use it")
