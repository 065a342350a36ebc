"""`jc rehearse`, and what its jobs call.

Imports stand in the commands, so that `jc --help` answers at once.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from click.core import ParameterSource

from foundation.command_line import Command, console, json_option
from foundation.errors import ExitCode, JobFailedError
from job_creator.options import ONLY, Options

if TYPE_CHECKING:
    from job_creator.rehearsal.shell.setup import Wishes

_DIRECTORY = click.Path(path_type=Path, file_okay=False)
EXECUTOR_OF: Final = {
    "runners": "simulate",
    "durations": "simulate",
    "branch": "shell",
    "with_images": "shell",
    "again": "shell",
    "fails": "shell",
    "folder": "shell",
    "node_modules": "shell",
    "timeout": "shell",
}
"""The executor that alone knows an option; what is not here, both know."""


@click.command(
    "rehearse",
    cls=Command,
    exit_codes=(
        ExitCode.INVALID_INPUT,
        ExitCode.LIMIT_EXCEEDED,
        ExitCode.COULD_NOT_ASK,
        ExitCode.NOT_READY,
        ExitCode.REFUSED,
        ExitCode.JOB_FAILED,
    ),
)
@click.option(
    "--executor",
    type=click.Choice(["simulate", "shell"]),
    default="simulate",
    show_default=True,
    help="Play the pipelines in virtual time, or really run their jobs here.",
)
@ONLY
@click.option("--runners", type=click.IntRange(min=1), default=10, show_default=True, help="simulate: jobs at once.")
@click.option(
    "--durations",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help='simulate: JSON with expected seconds by package, as in {"llvm": 5400, "*": 90}.',
)
@click.option("--branch", metavar="NAME", help="shell: as if on this branch.  [default: the one that is checked out]")
@click.option("--images", "with_images", is_flag=True, help="shell: also the jobs that build and convert images.")
@click.option("--again", is_flag=True, help="shell: run everything a second time, which should build nothing.")
@click.option(
    "--fail",
    "fails",
    multiple=True,
    metavar="NAME",
    help="shell, without a real Spack: let this package fail to build, or this container to concretize.",
)
@click.option(
    "--folder", type=_DIRECTORY, default="build/rehearsal", show_default=True, help="shell: where everything goes."
)
@click.option(
    "--node-modules",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="shell: where npm put node and gitlab-ci-local.  [default: build/node_modules, or PATH]",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=240,
    show_default=True,
    metavar="MIN",
    help="shell: end it after so many minutes.",
)
@json_option
@click.pass_context
def rehearse(
    ctx: click.Context,
    /,
    executor: str,
    only: tuple[str, ...],
    runners: int,
    durations: Path | None,
    branch: str | None,
    with_images: bool,
    again: bool,
    fails: tuple[str, ...],
    folder: Path,
    node_modules: Path | None,
    timeout: float,
    as_json: bool,
) -> None:
    """Rehearse the whole chain on this machine. Before anybody pushes.

    'simulate' writes every pipeline, with a recording of Spack's answers, holds all of them against GitLab's limits,
    and says when what would run. 'shell' really runs the jobs in order, with gitlab-ci-local, an S3 server and, for
    images, a registry on this machine; with the Spack of SPACK_ROOT, or with a stand-in that compiles nothing. Nothing
    leaves this machine, and no secret gets in.

    \b
    Examples:
      jc rehearse
      jc rehearse --runners 50
      jc rehearse --executor shell
      jc rehearse --executor shell --fail hdf5      what does it look like when hdf5 does not build?
      jc rehearse --executor shell --again          a second run should build nothing
    """
    _require_known(ctx, executor)
    options: Options = ctx.obj
    if executor == "simulate":
        _simulate(options, only, runners, durations, as_json=as_json)
        return
    if fails and options.environment.get("SPACK_ROOT"):
        raise click.UsageError("--fail is for the stand-in, but SPACK_ROOT names a real Spack; unset one of them")
    from job_creator.rehearsal.shell.setup import Wishes

    root = options.directory.resolve()
    wishes = Wishes(
        repository=root,
        site_file=options.site_file,
        folder=folder.resolve(),
        branch=branch,
        with_images=with_images,
        fails=fails,
        only=only,
        environment=options.environment,
        node_modules=(node_modules.resolve(),) if node_modules else (root / "build" / "node_modules",),
    )
    _run(options, wishes, timeout * 60, again=again, as_json=as_json)


def _require_known(ctx: click.Context, executor: str) -> None:
    """Raises `UsageError` for options that were given and belong to another executor, which would ignore them."""
    given = [
        parameter
        for parameter in ctx.command.params
        if EXECUTOR_OF.get(str(parameter.name), executor) != executor
        and ctx.get_parameter_source(str(parameter.name)) is not ParameterSource.DEFAULT
    ]
    if given:
        named = ", ".join(parameter.opts[0] for parameter in given)
        other = EXECUTOR_OF[str(given[0].name)]
        raise click.UsageError(
            f"--executor {executor} does not know {named}; say --executor {other}, or leave it out", ctx
        )


def _simulate(options: Options, only: tuple[str, ...], runners: int, durations: Path | None, *, as_json: bool) -> None:
    from foundation.doors.files import read_file
    from job_creator import inputs
    from job_creator.builds.durations import default_durations, read_durations
    from job_creator.definitions.choice import read_choice
    from job_creator.rehearsal import report
    from job_creator.rehearsal.played import play

    written = inputs.read_all(options.directory, options.site_file)
    expected = read_durations(read_file(durations), str(durations)) if durations else default_durations()
    choice = read_choice(only, (), written.definitions)
    result = play(options.directory, written, choice, expected, runners)
    if as_json:
        click.echo(report.as_json(result.as_value()))
    else:
        report.print_rehearsed(result, console())


def _run(options: Options, wishes: Wishes, seconds: float, *, again: bool, as_json: bool) -> None:
    from job_creator.rehearsal import report
    from job_creator.rehearsal.outcomes import pipelines
    from job_creator.rehearsal.shell.setup import set_up
    from job_creator.rehearsal.shell.stages import run_parent
    from job_creator.rehearsal.shell.stand_in import NOTICE

    def tell(line: str) -> None:
        if not options.quiet:
            click.echo(line, err=True)

    tell("with the Spack of SPACK_ROOT" if wishes.spack_root else NOTICE)
    results = []
    with set_up(wishes, tell) as stage:
        for _ in range(2 if again else 1):
            known = {one.id for one in pipelines(stage.records)}
            run_parent(stage, tell, seconds)
            new = [one for one in pipelines(stage.records) if one.id not in known]
            results.append(report.outcome(stage, new))
            if not as_json:
                report.print_outcome(results[-1], stage, console())
            if not results[-1].succeeded:
                break
    if as_json:
        click.echo(report.as_json({"runs": [one.as_value() for one in results], "folder": str(wishes.folder)}))
    if not results[-1].succeeded:
        failed = ", ".join(f"{one.job!r}" for one in results[-1].failures)
        raise JobFailedError(f"failed in the rehearsal: {failed}")


@click.command("rehearse-child", cls=Command, hidden=True, exit_codes=tuple(ExitCode))
@click.argument("bridge")
@click.argument("artifact", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--pass", "passed", multiple=True, metavar="VARIABLE")
@click.pass_obj
def rehearse_child(options: Options, bridge: str, artifact: Path, passed: tuple[str, ...]) -> None:
    """Run a child pipeline; the trigger jobs of a rehearsal call this."""
    from job_creator.rehearsal.outcomes import SUCCESS
    from job_creator.rehearsal.shell.stages import read_stage, run_child

    environment = options.environment
    stage = read_stage(Path(environment["REHEARSAL_FOLDER"]))
    variables = {name: environment[name] for name in passed}
    done = run_child(stage, bridge, artifact, int(environment["CI_PIPELINE_ID"]), variables, click.echo)
    if done.status != SUCCESS:
        sys.exit(ExitCode.JOB_FAILED)


COMMANDS = (rehearse, rehearse_child)
