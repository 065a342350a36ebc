"""The command line: thin commands that read, plan, verify and write. The only reader of the process environment.

Heavy imports stand in the commands that use them, so that `jc --help` answers at once.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from foundation.command_line import CONTEXT_SETTINGS, Group, console, format_option, json_option
from foundation.errors import ExitCode, InvalidInputError, RefusedError
from job_creator import __version__, project_files
from job_creator.audit.cli import audit
from job_creator.compile_pool.cli import compile_pool
from job_creator.corpus.cli import corpus
from job_creator.diagnosis.cli import doctor
from job_creator.engines.gitlab import names
from job_creator.mirrors.cli import mirror
from job_creator.options import FORCE, OFFLINE, ONLY, PLANNING, READING, FuseType, Options
from job_creator.package_index.cli import index
from job_creator.package_lists.cli import packages
from job_creator.pipelines.cli import COMMANDS as CONTAINERS
from job_creator.pipelines.images_cli import COMMANDS as IMAGES
from job_creator.proving.cli import COMMANDS as PROVING
from job_creator.publishing.cli import COMMANDS as PUBLISHING
from job_creator.publishing.clusters.cli import COMMANDS as CLUSTERS
from job_creator.rehearsal.cli import COMMANDS as REHEARSAL
from job_creator.reports.cli import report as report_group
from job_creator.reproduction.cli import reproduce
from job_creator.runs.cli import build
from job_creator.runs.cli.cluster import cluster
from job_creator.sbom.cli import sbom
from job_creator.scaffolding.cli import COMMANDS as SCAFFOLDING
from job_creator.studies.splices.cli import splices


@click.group(cls=Group, exit_codes=(), context_settings=CONTEXT_SETTINGS)
@click.version_option(__version__, package_name="spacktainers", prog_name="jc")
@click.option(
    "-C",
    "--directory",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    default=".",
    show_default=True,
    help="The repository with the site file and the container definitions.",
)
@click.option("--site", "site_file", default=project_files.SITE_FILE, show_default=True, help="The site file in it.")
@click.pass_context
def main(ctx: click.Context, directory: Path, site_file: str) -> None:
    """From container definitions to GitLab pipelines.

    \b
    Examples:
      jc check                     is everything that I wrote valid?
      jc plan                      what would happen, and why?
      jc create-jobs               write the base pipeline
      jc create-jobs --offline     the same on a laptop, asking nobody
    """
    ctx.obj = Options(directory, site_file, os.environ)


@main.command("create-jobs", exit_codes=PLANNING)
@click.option(
    "-o",
    "--output-file",
    type=click.Path(path_type=Path, dir_okay=False),
    default=names.GENERATED_PIPELINE,
    show_default=True,
    help="The pipeline; the merged environments are written beside it.",
)
@OFFLINE
@ONLY
@FORCE
@json_option
@click.pass_obj
def create_jobs(
    options: Options, output_file: Path, offline: bool, only: tuple[str, ...], forced: tuple[str, ...], as_json: bool
) -> None:
    """Write the base pipeline. And one merged spack.yaml for each container and architecture, beside it.

    \b
    Examples:
      jc create-jobs
      jc create-jobs --offline -o build/generated_pipeline.yaml
      jc create-jobs --only hdf5-stack
      jc create-jobs --force builder
    """
    from foundation.doors.files import write_files
    from job_creator import inputs
    from job_creator.definitions.choice import read_choice
    from job_creator.pipelines import base
    from job_creator.reports import text as report

    written = inputs.read_all(options.directory, options.site_file)
    choice = read_choice(only, forced, written.definitions)
    built = base.make_plan(options.directory, written, os.environ, offline=offline, choice=choice)
    files, limits = base.outputs(built, written, output_file.name)
    limits.require(str(output_file))
    write_files(output_file.parent, files, stale=project_files.merged_environment("*", "*"))
    if as_json:
        click.echo(report.plan_as_json(built.decisions, built.pipeline, limits, built.environments))
    elif not options.quiet:
        report.print_plan(built.decisions, built.pipeline, limits, console())
        click.echo(f"wrote {output_file} and {len(built.environments)} merged environments beside it")


@main.command("plan", exit_codes=PLANNING)
@OFFLINE
@ONLY
@FORCE
@json_option
@click.pass_obj
def plan_command(
    options: Options, offline: bool, only: tuple[str, ...], forced: tuple[str, ...], as_json: bool
) -> None:
    """Show what create-jobs would do, and why. For every image, environment and container; writes nothing.

    \b
    Examples:
      jc plan
      jc plan --only hdf5-stack
      jc plan --offline --json
    """
    from job_creator import inputs
    from job_creator.definitions.choice import read_choice
    from job_creator.pipelines import base
    from job_creator.reports import text as report

    written = inputs.read_all(options.directory, options.site_file)
    choice = read_choice(only, forced, written.definitions)
    built = base.make_plan(options.directory, written, os.environ, offline=offline, choice=choice)
    _, limits = base.outputs(built, written, names.GENERATED_PIPELINE)
    if as_json:
        click.echo(report.plan_as_json(built.decisions, built.pipeline, limits, built.environments))
    else:
        report.print_plan(built.decisions, built.pipeline, limits, console())
    limits.require("the base pipeline")


@main.command("check", exit_codes=READING)
@format_option("gitlab")
@click.option(
    "--package-index",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    envvar="SPACKTAINERS_PACKAGE_INDEX",
    help=f"What 'jc index packages' wrote. [default: {project_files.PACKAGE_INDEX}, if the repository has it; "
    "variable: SPACKTAINERS_PACKAGE_INDEX]",
)
@click.pass_obj
def check_command(options: Options, form: str, package_index: Path | None) -> None:
    """Validate everything that you wrote. That is the site file, the environment template and all definitions.

    Names of packages and variants are held against an index of the package repository, if there is one.
    '--format gitlab' is the code quality report that merge requests show. Whatever the format, what could not be
    checked is told, too: below the text, or on standard error beside the others.

    \b
    Examples:
      jc check
      jc check --format gitlab > gl-code-quality-report.json
    """
    from job_creator import inputs
    from job_creator.reports import text as report

    try:
        written = inputs.read_all(options.directory, options.site_file, package_index)
    except InvalidInputError as error:
        if form == "text":
            raise
        click.echo((report.faults_as_json if form == "json" else report.faults_as_code_quality)(error.faults))
        sys.exit(ExitCode.INVALID_INPUT)
    if form == "text":
        click.echo(f"all valid: {written.counted}")
        if written.defaults:
            click.echo(f"not in this repository, so those of jc are used: {', '.join(written.defaults)}")
    else:
        click.echo("[]")
    for reason in written.not_checked:
        click.echo(f"not checked: {reason}", err=form != "text")


@main.command("process-spack-pipeline", exit_codes=(*READING, ExitCode.LIMIT_EXCEEDED))
@click.option(
    "--pipeline-dir",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    required=True,
    help="The folder with one sub-folder per container, each with its pipeline and concrete_environment.",
)
@click.option(
    "--out-dir",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Where the pipelines go; in CI the artifacts folder that the trigger takes them from.",
)
@click.option("--architecture", required=True, help="The architecture, as the site file calls it.")
@click.option("--output-file", default=names.PACKAGE_PIPELINE, show_default=True, help="The root pipeline.")
@click.option(
    "--max-jobs", type=click.IntRange(min=1), help="Package jobs in one pipeline, if less than GitLab allows."
)
@click.option(
    "--durations",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help='Expected seconds by package, JSON as in {"llvm": 5400, "*": 90}, or records that package jobs left.',
)
@click.option(
    "--fuse",
    type=FuseType(),
    help="Whether cheap packages that lie together share a job, or how many seconds of work such a job may have.  "
    "[default: what the site file says, or auto]",
)
@click.option(
    "--summary",
    "summary_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the summary as JSON, too.",
)
@click.option("--keep-going", is_flag=True, help="Leave containers out whose pipeline cannot be used.")
@click.option("--may-be-empty", is_flag=True, help="A folder without containers gives a pipeline with nothing to do.")
@json_option
@click.pass_obj
def process_spack_pipeline(options: Options, /, summary_file: Path | None, as_json: bool, **arguments: Any) -> None:
    """Write the pipelines that compile packages. They are what 'spack ci generate' wrote for all containers, merged.

    \b
    Example:
      jc process-spack-pipeline --pipeline-dir jobs_scratch_dir.amd64 --out-dir spack.artifacts.amd64 \\
         --architecture amd64
    """
    import json

    from foundation.doors.files import write_files
    from job_creator import inputs
    from job_creator.pipelines import packages

    site = inputs.read_site_file(options.directory, options.site_file)
    summary = packages.process(site, os.environ, packages.PackagesRequest(**arguments))
    content = json.dumps(summary.as_value(), indent=2)
    if summary_file:
        write_files(summary_file.parent, {summary_file.name: f"{content}\n".encode()})
    if as_json:
        click.echo(content)
    elif not options.quiet:
        for line in summary.lines():
            click.echo(line)


@main.command("render-ci", exit_codes=(*READING, ExitCode.LIMIT_EXCEEDED, ExitCode.REFUSED))
@click.option(
    "-o",
    "--output-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help=f"The parent pipeline.  [default: {names.PARENT_PIPELINE} of the repository]",
)
@click.option("--check", "only_checks", is_flag=True, help="Write nothing; fail if the file is not what it should be.")
@click.pass_obj
def render_ci(options: Options, output_file: Path | None, only_checks: bool) -> None:
    """Write the parent pipeline. To be committed, and written anew after a change of the site file, or of the
    architectures that containers are defined for.

    \b
    Examples:
      jc render-ci
      jc render-ci --check        in CI: is the committed file up to date?
    """
    from foundation.doors.files import read_file, write_files
    from job_creator import inputs
    from job_creator.pipelines import base

    text = base.parent_document(inputs.read_all(options.directory, options.site_file)).encode()
    path = output_file or options.directory / names.PARENT_PIPELINE
    if only_checks:
        if not path.is_file() or read_file(path) != text:
            raise RefusedError(f"{path}: is not what {options.site_file} asks for; run 'jc render-ci' and commit it")
        return
    write_files(path.parent, {path.name: text})
    if not options.quiet:
        click.echo(f"wrote {path}")


@main.command("schema", exit_codes=())
@click.argument("which", type=click.Choice(["site", "definition"]))
def schema_command(which: str) -> None:
    """Print a JSON Schema for editors. Of the site file, or of container definitions.

    \b
    Example:
      jc schema definition > definition.schema.json
    """
    from job_creator.pipelines.base import schema_text
    from job_creator.schemas import schema

    click.echo(schema_text(schema(which)), nl=False)


# A plain command: -v, -q and the rest belong to Spack's command line here.
@main.command(
    "stand-in-spack",
    cls=click.Command,
    hidden=True,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def stand_in_spack(arguments: tuple[str, ...]) -> None:
    """Understand as much of Spack's command line as generated jobs use; for rehearsals."""
    from job_creator.rehearsal.shell import stand_in

    # S3 clients look there; Spack takes the keys from the variables that its mirror names.
    os.environ.update(stand_in.credentials(os.environ))
    stand_in.run(arguments, os.environ, click.echo)


_OTHERS = (
    audit,
    build,
    cluster,
    compile_pool,
    corpus,
    doctor,
    index,
    mirror,
    packages,
    report_group,
    reproduce,
    sbom,
    splices,
)
for command in (*CONTAINERS, *IMAGES, *PUBLISHING, *PROVING, *CLUSTERS, *REHEARSAL, *SCAFFOLDING, *_OTHERS):
    main.add_command(command)


if __name__ == "__main__":
    main()
