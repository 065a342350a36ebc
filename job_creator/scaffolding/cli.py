"""`jc init` and `jc new`: what a newcomer starts from."""

from __future__ import annotations

import platform
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from foundation.command_line import Command
from foundation.errors import ExitCode
from foundation.registries.reference import is_container_name
from job_creator import __version__
from job_creator.options import READING, Options

if TYPE_CHECKING:
    from job_creator.scaffolding.new_site import SiteAnswers
    from job_creator.scaffolding.writing import NewFiles

_MACHINES: Final = {"aarch64": "arm64", "arm64": "arm64"}
_FIRST_NAME: Final = "hello"


@click.command("init", cls=Command, exit_codes=(*READING, ExitCode.REFUSED, ExitCode.LIMIT_EXCEEDED))
@click.option("--arch", "architecture", type=click.Choice(["amd64", "arm64"]), help="[default: that of this machine]")
@click.option("--runner-tag", "runner_tags", multiple=True, help="Of GitLab runners that have it; may be repeated.")
@click.option("--target", help="The oldest machine to run on, as Spack calls it.  [default: x86_64_v3 or armv8.2a]")
@click.option("--compiler", help="One that the builder's base image has.  [default: gcc@13]")
@click.option("--cache-bucket", help="The S3 bucket of the build cache.  [default: <folder>-cache]")
@click.option("--endpoint", help="URL of the S3 server.  [default: Amazon's]")
@click.option("--containers-bucket", help="The S3 bucket for SIF files.  [default: none, so no SIF files]")
@click.option("--signed/--unsigned", default=None, help="Whether packages are signed, for which there is a key.")
@click.option("--name", help="Of the first container.  [default: that of the folder beside a spack.yaml, else hello]")
@click.option(
    "--install",
    "requirement",
    default=f"spacktainers=={__version__}",
    show_default=True,
    help="What jobs give to pip to have jc, ga and spackitor.",
)
@click.option("--yes", is_flag=True, help="Ask nothing; take the defaults for what is not said.")
@click.pass_obj
def init(options: Options, /, requirement: str, yes: bool, **said: Any) -> None:
    """Start a site in this folder. It gets a site file, a first container, a pipeline, and settings for editors.

    A spack.yaml that is there becomes the first container. On a terminal, what no option says is asked. Nothing that
    is there is overwritten, and what comes with jc (Dockerfiles, the environment template) is not copied.

    \b
    Examples:
      jc init
      jc -C my-containers init --yes --runner-tag docker --cache-bucket our-cache --unsigned
    """
    from job_creator.scaffolding.writing import plan_site, write_site

    asks = not yes and sys.stdin.isatty()
    folder = options.directory.resolve()
    answers = _answers(folder, said, asks=asks)
    own = (folder / "spack.yaml").is_file()
    name = said["name"] or _asked("Name of the first container", _plain(folder.name) if own else _FIRST_NAME, asks=asks)
    _require_name(name)
    new = plan_site(options.directory, answers, requirement, name)
    if not options.quiet:
        _print_plan(new)
    if asks and (new.files or new.moved):
        click.confirm("Write that?", default=True, abort=True)
    written = write_site(options.directory, new)
    if not options.quiet:
        click.echo(f"all valid: {len(written.definitions)} containers")
        click.echo(
            "Next: 'jc rehearse' shows what a push would do; keys of buckets are CI/CD variables of the project."
        )


@click.command("new", cls=Command, exit_codes=(*READING, ExitCode.NOT_THERE, ExitCode.REFUSED))
@click.argument("name")
@click.option("--spec", "specs", multiple=True, help="A Spack spec; may be repeated.  [default: the container's name]")
@click.option("--image", help="Wrap this image of a registry instead.")
@click.option(
    "--from",
    "environment",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Take this spack.yaml instead.",
)
@click.option("--arch", "architectures", multiple=True, help="May be repeated.  [default: all of the site]")
@click.pass_obj
def new(
    options: Options,
    name: str,
    specs: tuple[str, ...],
    image: str | None,
    environment: Path | None,
    architectures: tuple[str, ...],
) -> None:
    """Write the definition of a new container. One that is not valid is not kept, and its faults are shown.

    \b
    Examples:
      jc new samtools --spec samtools@1.21 --spec bcftools
      jc new nginx --image docker.io/library/nginx:1.27 --arch amd64
      jc new climate --from ~/climate/spack.yaml
    """
    from job_creator.scaffolding.writing import DefinitionContent, what_is_left_to_do, write_definitions

    if sum(map(bool, (specs, image, environment))) > 1:
        raise click.UsageError("--spec, --image and --from say different things; keep one of them")
    _require_name(name)
    content = DefinitionContent(specs or (name,), image or "", environment)
    paths = write_definitions(options.directory, options.site_file, name, architectures, content)
    if options.quiet:
        return
    for path in paths:
        click.echo(f"wrote {path}")
    if left := what_is_left_to_do(options.directory, options.site_file):
        click.echo(left)


def _answers(folder: Path, said: dict[str, Any], *, asks: bool) -> SiteAnswers:
    """What was said, what is asked, and else the defaults."""
    from job_creator.scaffolding.new_site import TARGETS, SiteAnswers

    def answer(key: str, question: str, default: str) -> str:
        return said[key] if said[key] is not None else _asked(question, default, asks=asks)

    here = _MACHINES.get(platform.machine(), "amd64")
    choice = click.Choice(sorted(TARGETS))
    architecture = said["architecture"] or _asked("Architecture", here, asks=asks, kind=choice)
    tags = said["runner_tags"] or _asked("Tags of its runners, with spaces between", architecture, asks=asks).split()
    signed = said["signed"]
    if signed is None:
        signed = not asks or click.confirm("Sign packages? There has to be a key for that", default=True)
    return SiteAnswers(
        architecture,
        tuple(tags),
        target=answer("target", "The oldest machine to run on, as Spack calls it", TARGETS[architecture]),
        compiler=answer("compiler", "A compiler that ubuntu:24.04 has", "gcc@13"),
        cache_bucket=answer("cache_bucket", "S3 bucket of the build cache", f"{_plain(folder.name)}-cache"),
        endpoint=answer("endpoint", "URL of the S3 server, nothing for Amazon's", ""),
        containers_bucket=answer("containers_bucket", "S3 bucket for SIF files, nothing for none", ""),
        signed=signed,
    )


def _asked(question: str, default: str, *, asks: bool, kind: click.Choice[str] | None = None) -> str:
    return str(click.prompt(question, default, type=kind, show_default=bool(default))) if asks else default


def _require_name(name: str) -> None:
    """Before it becomes part of a path."""
    if not is_container_name(name):
        wanted = "lower case letters and digits, with single '-', '_' or '.' between them"
        raise click.BadParameter(f"{name!r} cannot name an image and a SIF file; use {wanted}")


def _plain(name: str) -> str:
    """A folder's name as one of a container and a bucket."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "spacktainers"


def _print_plan(new: NewFiles) -> None:
    for path in sorted(new.files):
        click.echo(f"  {path}")
    if new.moved:
        click.echo(f"  {new.moved} moves there: it would be the template of all containers here")
    click.echo("  .gitlab-ci.yml")


COMMANDS: Final = (init, new)
