"""`jc packages`: lists of packages, without a container."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Final

import click

from foundation.command_line import Command, Group, json_option
from foundation.errors import ExitCode, NotReadyError
from job_creator.options import READING, SCOPES, SPACK, Options
from job_creator.package_lists.classes import CLASSES

_CODES: Final = (*READING, ExitCode.COULD_NOT_ASK, ExitCode.NOT_THERE, ExitCode.NOT_READY, ExitCode.REFUSED)
WORKERS: Final[dict[str, tuple[str, ...]]] = {
    "local": (),
    "flux": ("flux", "run", "--ntasks=1", "--cores-per-task=1", "--unbuffered"),
    # --exact: within an allocation, as many at once as there are processors.
    "slurm": ("srun", "--ntasks=1", "--nodes=1", "--cpus-per-task=1", "--exact", "--quiet", "--unbuffered"),
}
"""Where workers may run: what stands before their program. Its stdin and stdout go through these commands."""

_DEFINITION: Final = click.argument("definition", metavar="DEFINITION")
_ARCHITECTURE: Final = click.option(
    "--architecture", default="", help="The architecture, as the site file calls it, where several have the name."
)
_INDEX: Final = click.option(
    "--package-index",
    "index",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    envvar="SPACKTAINERS_PACKAGE_INDEX",
    help="What 'jc index packages' wrote. Without one of the pinned recipes, Spack is asked. "
    "[variable: SPACKTAINERS_PACKAGE_INDEX]",
)
_MOST_LETTERS: Final = 200
"""Of a message of Spack, where people read it."""


@click.group(cls=Group, exit_codes=())
def packages() -> None:
    """Work with lists of packages. A definition names them, or selects them by build system and license.

    \b
    Examples:
      jc packages list amd64/corpus
      jc packages lock amd64/corpus -o locks/
    """


@packages.command("list", cls=Command, exit_codes=_CODES)
@_DEFINITION
@_ARCHITECTURE
@_INDEX
@SPACK
@SCOPES
@json_option
@click.pass_obj
def list_packages(
    options: Options,
    definition: str,
    architecture: str,
    index: Path | None,
    program: str,
    scopes: tuple[Path, ...],
    as_json: bool,
) -> None:
    """List what a definition names and selects. Nothing is concretized.

    Specs are shown as they were written. DEFINITION is ARCHITECTURE/NAME, or NAME.

    \b
    Examples:
      jc packages list amd64/corpus
      jc packages list amd64/corpus --json
    """
    from foundation.spack.program import SpackProgram
    from job_creator.mirrors.needs.locks import Repository
    from job_creator.package_lists.lists import find_list

    repository = Repository(options.directory, options.site_file, options.environment, architecture)
    found = find_list(definition, repository, index, SpackProgram(program, scopes=scopes))
    if as_json:
        value = {
            "definition": found.name,
            "specs": list(found.specs),
            "selected": [
                {"name": one.name, "build_systems": list(one.build_systems), "licenses": list(one.licenses)}
                for one in found.selected
            ],
        }
        click.echo(json.dumps(value, indent=2))
        return
    for spec in found.specs:
        click.echo(spec if isinstance(spec, str) else json.dumps(spec))
    for one in found.selected:
        click.echo(one.name)


@packages.command("lock", cls=Command, exit_codes=_CODES)
@_DEFINITION
@click.option(
    "-o",
    "--output-folder",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Where the lockfiles go. A folder that an earlier run left is gone on with.",
)
@click.option("--jobs", type=click.IntRange(1), help="So many Spacks at once.  [default: one for each processor]")
@click.option(
    "--engine",
    type=click.Choice(sorted(WORKERS)),
    default="local",
    show_default=True,
    help="Where they run: on this machine, or each as a job of a scheduler, in an allocation or by itself.",
)
@click.option(
    "--submit-option",
    "submit_options",
    multiple=True,
    metavar="WORD",
    help="Say this to srun or flux run as well, such as --partition=long. May be repeated.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    default=600.0,
    show_default=True,
    metavar="SECONDS",
    help="Give up on what takes longer.",
)
@click.option(
    "--again",
    type=click.Choice(CLASSES),
    multiple=True,
    help="Try again what an earlier run could not concretize for this reason. May be repeated.",
)
@_ARCHITECTURE
@_INDEX
@SPACK
@SCOPES
@json_option
@click.pass_obj
def lock_packages(
    options: Options,
    definition: str,
    output_folder: Path,
    jobs: int | None,
    engine: str,
    submit_options: tuple[str, ...],
    timeout: float,
    again: tuple[str, ...],
    architecture: str,
    index: Path | None,
    program: str,
    scopes: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Concretize what can be. Each spec, or each group that unifies, gets a lockfile of its own.

    What fails keeps nothing else from its lockfile: it stands in 'failures.jsonl' with Spack's message and a class,
    which is unsatisfiable, unknown (no such package), time-out or crash. A run that was killed is gone on with: what
    has a lockfile or a failure is not tried again. DEFINITION is ARCHITECTURE/NAME, or NAME.

    It ends with code 8 if nothing at all could be concretized.

    \b
    Examples:
      jc packages lock amd64/corpus -o locks/
      jc packages lock amd64/corpus -o locks/ --jobs 16 --timeout 300
      jc packages lock amd64/corpus -o locks/ --jobs 64 --engine slurm
      jc packages lock amd64/corpus -o locks/ --again time-out --timeout 1800
    """
    from foundation.spack.program import SpackProgram
    from job_creator.mirrors.needs.locks import Repository
    from job_creator.package_lists.folder import FAILURES
    from job_creator.package_lists.lists import find_list
    from job_creator.package_lists.running import LockRequest, lock

    repository = Repository(options.directory, options.site_file, options.environment, architecture)
    spack = SpackProgram(program, scopes=tuple(scope.absolute() for scope in scopes))
    wanted = find_list(definition, repository, index, spack)
    if submit_options and engine == "local":
        raise click.UsageError("--submit-option is for a scheduler; leave it out, or say --engine")
    before = (*WORKERS[engine], *submit_options)
    jobs = jobs or os.cpu_count() or 1
    request = LockRequest(output_folder, jobs, timeout, frozenset(again), options.quiet, before)
    result = lock(wanted, spack, request)
    if as_json:
        value = {
            "folder": str(output_folder),
            "locked": result.locked,
            "present": result.present,
            "failed": result.classes,
        }
        click.echo(json.dumps(value, indent=2))
    elif not options.quiet:
        failed = ", ".join(f"{count} {kind}" for kind, count in result.classes.items())
        places = (
            f"{len(result.failures)} failed ({failed}; see {output_folder / FAILURES})" if failed else "none failed"
        )
        click.echo(f"{output_folder}: {result.locked} locked, {result.present} were there, {places}")
    if result.failures and not result.locked and not result.present:
        first = result.failures[0]
        said = first.message.strip().partition("\n")[0][:_MOST_LETTERS]
        raise NotReadyError(f"{wanted.name}: nothing could be concretized; {' '.join(first.specs)}: {said}")
