"""The commands around the container pipeline: `jc generate-spacktainer-workflow`, `jc tag-image`.

Imports stand in the commands, so that `jc --help` answers at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from job_creator import names
from job_creator.command_line import Command, console
from job_creator.options import FORCE, OFFLINE, ONLY, Options


@click.command("generate-spacktainer-workflow", cls=Command)
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
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@OFFLINE
@click.pass_obj
def generate_spacktainer_workflow(options: Options, /, form: str, **arguments: Any) -> None:
    """Write the pipeline that builds, tests, converts and publishes the containers of one architecture.

    Containers that are up to date get no jobs. What is built comes from the lockfiles; nothing is concretized again.

    \b
    Examples:
      jc generate-spacktainer-workflow --architecture amd64 --out-dir spacktainer.artifacts.amd64
      jc generate-spacktainer-workflow --architecture amd64 --out-dir build/containers --force neuron
    """
    from job_creator import commands, container_pipelines, report

    written = commands.read_all(options.directory, options.site_file)
    asked = container_pipelines.Arguments(**arguments)
    built, limits = container_pipelines.generate(options.directory, written, options.environment, asked)
    if form == "json":
        click.echo(report.plan_as_json(built.decisions, built.pipeline, limits))
    elif not options.quiet:
        report.print_plan(built.decisions, built.pipeline, limits, console())
        click.echo(f"wrote {asked.out_dir / asked.output_file}")


@click.command("tag-image", cls=Command)
@click.argument("image")
@click.argument("sources", nargs=-1, required=True)
@click.option("--skip-missing", is_flag=True, help="Leave sources out that are not there, as long as one is.")
@click.pass_obj
def tag_image(options: Options, image: str, sources: tuple[str, ...], skip_missing: bool) -> None:
    """Let the tag IMAGE point to images of its repository, one for each architecture, in one step.

    SOURCES are tags or digests. User and password are those that the site file names variables for.

    \b
    Examples:
      jc tag-image registry.example.org/group/hdf5:1.14.5 1.14.5-amd64 1.14.5-arm64
      jc tag-image --skip-missing registry.example.org/group/hdf5:1.14.5 1.14.5-amd64 1.14.5-arm64
    """
    from job_creator import commands

    site = commands.read_site_file(options.directory, options.site_file)
    for architecture, digest in commands.tag_image(
        site, options.environment, image, sources, skip_missing=skip_missing
    ).items():
        click.echo(f"{image} for {architecture} is {digest}")


COMMANDS = (generate_spacktainer_workflow, tag_image)
