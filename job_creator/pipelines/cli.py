"""Commands around pipelines: `jc check-pipeline`, `jc generate-spacktainer-workflow`, `jc simulate`.

Imports stand in the commands, so that `jc --help` answers at once.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from foundation.command_line import Command, console, format_option, json_option
from foundation.errors import ExitCode
from job_creator.engines.gitlab import names
from job_creator.options import FORCE, OFFLINE, ONLY, PLANNING, READING, Options


@click.command("generate-spacktainer-workflow", cls=Command, exit_codes=(*PLANNING, ExitCode.NOT_THERE))
@click.option("--architecture", required=True, help="The architecture, as the site file calls it.")
@click.option(
    "--out-dir",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Where the pipeline goes, with a folder for each container that something is done for.",
)
@click.option(
    "--environments",
    type=click.Path(path_type=Path, file_okay=False),
    help="The concrete environments, one folder per container.  [default: jobs_scratch_dir.ARCHITECTURE]",
)
@click.option("--output-file", default=names.CONTAINER_PIPELINE, show_default=True, help="The pipeline.")
@ONLY
@FORCE
@OFFLINE
@json_option
@click.pass_obj
def generate_spacktainer_workflow(options: Options, /, as_json: bool, **arguments: Any) -> None:
    """Write the pipeline that builds containers. It tests, converts and publishes those of one architecture, too.

    Containers that are up to date get no jobs. What is built comes from the lockfiles; nothing is concretized again.

    \b
    Examples:
      jc generate-spacktainer-workflow --architecture amd64 --out-dir spacktainer.artifacts.amd64
      jc generate-spacktainer-workflow --architecture amd64 --out-dir build/containers --force neuron
    """
    from job_creator import inputs
    from job_creator.pipelines import containers
    from job_creator.reports import text

    written = inputs.read_all(options.directory, options.site_file)
    asked = containers.ContainersRequest(**arguments)
    built, limits = containers.generate(options.directory, written, options.environment, asked)
    if as_json:
        click.echo(text.plan_as_json(built.decisions, built.pipeline, limits))
    elif not options.quiet:
        text.print_plan(built.decisions, built.pipeline, limits, console())
        click.echo(f"wrote {asked.out_dir / asked.output_file}")


@click.command("check-pipeline", cls=Command, exit_codes=(*READING, ExitCode.LIMIT_EXCEEDED))
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, dir_okay=False), metavar="FILE...")
@format_option()
@click.pass_obj
def check_pipeline(options: Options, files: tuple[Path, ...], form: str) -> None:
    """Say whether GitLab would accept a pipeline. Asks no server; works on any .gitlab-ci.yml, whoever wrote it.

    The limits are those of the site file, where there is one. Exit code 4 means that a file would be refused.

    \b
    Examples:
      jc check-pipeline .gitlab-ci.yml
      jc check-pipeline --format json generated_pipeline.yaml spack.artifacts.amd64/*.yaml
    """
    import json

    from foundation.doors.files import read_file
    from job_creator import inputs
    from job_creator.engines.gitlab.verdict.files import NOT_CHECKED, judge_file
    from job_creator.site.gitlab import Limits

    has_site = (options.directory / options.site_file).is_file()
    limits = inputs.read_site_file(options.directory, options.site_file).gitlab.limits if has_site else Limits()
    verdicts = [judge_file(str(path), read_file(path), limits) for path in files]
    if form == "json":
        click.echo(json.dumps([verdict.as_value() for verdict in verdicts], indent=2))
    else:
        for verdict in verdicts:
            for line in verdict.lines():
                click.echo(line)
            if verdict.is_accepted and not options.quiet:
                click.echo(f"{verdict.name}: GitLab would accept it")
        for reason in () if options.quiet else NOT_CHECKED:
            click.echo(f"not checked: {reason}")
    if not all(verdict.is_accepted for verdict in verdicts):
        sys.exit(ExitCode.LIMIT_EXCEEDED)


@click.command("simulate", cls=Command, exit_codes=READING)
@click.argument("root", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option(
    "--runners", type=click.IntRange(min=1), multiple=True, help="How many jobs run at once; may be repeated."
)
@click.option(
    "--durations",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help='Expected seconds by package, JSON as in {"llvm": 5400, "*": 90}, or records that package jobs left.',
)
@json_option
def simulate_command(root: Path, runners: tuple[int, ...], durations: Path | None, as_json: bool) -> None:
    """Say how long a pipeline takes. It is played with its children, in virtual time.

    The files that its triggers name are looked for beside ROOT. All jobs succeed, and take what --durations or the
    default model says.

    \b
    Examples:
      jc simulate spack.artifacts.amd64/spack_pipeline.yaml
      jc simulate --runners 20 --runners 50 spack.artifacts.amd64/spack_pipeline.yaml
    """
    from foundation import shown
    from job_creator.engines.gitlab.packing import summary
    from job_creator.pipelines import packages

    timelines = packages.simulate(root, runners or summary.RUNNERS, durations)
    if as_json:
        import json

        click.echo(json.dumps([{"runners": count, "seconds": seconds} for count, seconds in timelines.items()]))
        return
    for count, seconds in timelines.items():
        click.echo(f"{count} runners: {shown.shown_duration(seconds)}")


COMMANDS = (check_pipeline, generate_spacktainer_workflow, simulate_command)
