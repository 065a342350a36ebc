"""Commands of `jc mirror`: what a mirror needs, filling it, and what its users tell Spack."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, TypeVar, Unpack

import click

from foundation.command_line import Command, json_option
from foundation.errors import ExitCode
from foundation.spack.releases import USUAL
from job_creator.mirrors.cli.options import EXIT_CODES
from job_creator.options import ENDPOINT, SPACK, Options

if TYPE_CHECKING:
    from foundation.spack.program import SpackProgram
    from foundation.spack.source_needs import SourceNeeds
    from job_creator.mirrors.configuration.holdings import Configuration
    from job_creator.mirrors.filling.creation import Result
    from job_creator.mirrors.needs.plan import MirrorPlan
    from job_creator.mirrors.needs.questions import Lock

_Decorated = TypeVar("_Decorated", bound=Callable[..., object])

_EXIT_CODES = (ExitCode.INVALID_INPUT, *EXIT_CODES)


class _About(TypedDict):
    """The values of the options that `_about` adds, those apart that commands name themselves."""

    wanted: tuple[str, ...]
    everything: bool
    architecture: str
    private: bool
    program: str
    scopes: tuple[Path, ...]
    cache_dir: Path | None
    endpoint_url: str | None
    check: bool


def _about(command: _Decorated) -> _Decorated:
    """The arguments and options that say what the mirror is for, where it is, and which Spack is asked."""
    for option in (
        click.argument("wanted", nargs=-1, metavar="(LOCK | FOLDER | DEFINITION | SPEC)..."),
        click.option("--all", "everything", is_flag=True, help="Every container definition of the repository."),
        click.option(
            "--to", "target", required=True, metavar="MIRROR", help="A folder, s3://bucket, or oci://host/repository."
        ),
        click.option(
            "--architecture", default="", metavar="NAME", help="Of the definitions.  [default: this machine's]"
        ),
        click.option(
            "--private",
            is_flag=True,
            help="The mirror stays on site: it may hold what recipes forbid to hand on.",
        ),
        SPACK,
        click.option(
            "--scope",
            "scopes",
            type=click.Path(path_type=Path, file_okay=False, exists=True),
            multiple=True,
            help="A folder with configuration for it, such as other mirrors to fetch from. May be repeated.",
        ),
        click.option(
            "--cache-dir",
            type=click.Path(path_type=Path, file_okay=False),
            help="Where answers of Spack are kept.  [default: spacktainers in XDG_CACHE_HOME]",
        ),
        click.option("--check", is_flag=True, help="Read all that is there; what is damaged counts as missing."),
        ENDPOINT,
        json_option,
    ):
        command = option(command)
    return command


@click.command("plan", cls=Command, exit_codes=_EXIT_CODES)
@_about
@click.option("--sources/--no-sources", default=True, show_default=True, help="Archives, patches and resources.")
@click.option("--binaries/--no-binaries", default=False, show_default=True, help="Packages of a build cache.")
@click.option("--offline", is_flag=True, help="Do not ask the internet how large the missing sources are.")
@click.pass_obj
def plan(
    options: Options,
    /,
    target: str,
    sources: bool,
    binaries: bool,
    offline: bool,
    as_json: bool,
    **about: Unpack[_About],
) -> None:
    """Say what a mirror needs, has and lacks. And what it can never have, and how large that is.

    Lockfiles are read as they are; definitions and specs are concretized by Spack first. What Spack says of a package
    is kept until its recipe changes. The exit code is 0 if everything is there that can be, and 8 otherwise.

    \b
    Examples:
      jc mirror plan spack.lock --to /shared/mirror
      jc mirror plan bzip2@1.0.8 --to /shared/mirror
      jc mirror plan --all --to s3://mirrors/site --binaries --json
    """
    from job_creator.mirrors import places
    from job_creator.mirrors.needs import comparison, damage, plan_report, sizes

    if not (sources or binaries):
        raise click.UsageError("nothing to plan: leave out --no-sources or add --binaries")
    place = places.open_place(target, about["endpoint_url"], options.environment)
    spack = _spack(about)
    locks = _locks(options, spack, about)
    needs = _needs(options, spack, locks, about)
    wanted = comparison.MirrorScope(sources, binaries, about["private"])
    found = damage.check(comparison.make_plan(locks, needs, place, wanted), place, again=about["check"]).plan
    if not offline:
        found = found.with_sizes(sizes.remote_sizes(found.items))
    if as_json:
        click.echo(plan_report.as_json(plan_report.plan_as_value(found, target)))
    elif not options.quiet:
        for line in plan_report.plan_lines(found, target):
            click.echo(line)
    if not found.is_complete:
        click.get_current_context().exit(int(ExitCode.NOT_READY))


@click.command("create", cls=Command, exit_codes=_EXIT_CODES)
@_about
@click.option("--sources/--no-sources", default=True, show_default=True, help="Archives, patches and resources.")
@click.option("--binaries", is_flag=True, help="Push those packages that this Spack has installed, signed.")
@click.option("--recipes", "with_recipes", is_flag=True, help="Spack and its recipes, to be cloned from the mirror.")
@click.option("--bootstrap", is_flag=True, help="What Spack itself starts from.")
@click.option("--from-cache", metavar="MIRROR", help="Copy binaries from this build cache that are not installed.")
@click.option("--key", default="", metavar="FINGERPRINT", help="Sign binaries with this key.  [default: the only one]")
@click.option("--unsigned", is_flag=True, help="Put binaries there that nobody signed.")
@click.option("--group", metavar="NAME", help="The group that may read and write the mirror.")
@click.option("-j", "--jobs", type=click.IntRange(1, 64), default=4, show_default=True, help="Fetch so many at once.")
@click.option("--dry-run", is_flag=True, help="Only print what would be done.")
@click.pass_obj
def create(
    options: Options,
    /,
    target: str,
    sources: bool,
    binaries: bool,
    with_recipes: bool,
    bootstrap: bool,
    from_cache: str | None,
    key: str,
    unsigned: bool,
    group: str | None,
    jobs: int,
    dry_run: bool,
    as_json: bool,
    **about: Unpack[_About],
) -> None:
    """Fill a mirror with what is missing in it. What it has already stays, if it is right.

    Spack does the fetching, from the mirrors in its configuration first. A file gets its final name when it is complete
    and verified, so this can be ended anywhere and run again. What cannot be fetched is listed with package, URL and
    sha256 at the end, and the exit code is 8.

    \b
    Examples:
      jc mirror create spack.lock --to /shared/mirror --group spack
      jc mirror create spack.lock --to /shared/mirror --binaries --recipes --bootstrap
      jc mirror create --all --to s3://mirrors/site -j 16 --dry-run
      jc mirror create spack.lock --to oci://registry.example.org/cache --no-sources --binaries --unsigned
    """
    import time

    from foundation.progress import counted_progress
    from job_creator.mirrors import places
    from job_creator.mirrors.filling import creation, opening, pushes, results
    from job_creator.mirrors.needs import comparison, damage

    order = creation.Order(
        comparison.MirrorScope(sources, binaries or bool(from_cache), about["private"]),
        with_recipes,
        bootstrap,
        about["check"],
        jobs,
        pushes.BinarySigning(key, unsigned),
        places.store_of(from_cache, about["endpoint_url"], options.environment) if from_cache else None,
    )
    creation.require_possible(order, target)
    spack = _spack(about)
    if not dry_run:
        creation.require_ready(spack, order, target, time.time())
    locks = _locks(options, spack, about)
    needs = _needs(options, spack, locks, about)
    if dry_run:
        place = places.open_place(target, about["endpoint_url"], options.environment)
        found = damage.check(comparison.make_plan(locks, needs, place, order.wanted), place, again=order.check).plan
        _print_created(options, found, None, target, as_json)
        return
    cache = _cache(options, about)
    destination = opening.open_destination(target, about["endpoint_url"], options.environment, group, cache)
    found = creation.plan(locks, needs, destination, order)
    missing = [item for item in found.items if item.source and item.status == "missing"]
    with counted_progress("fetching", len(missing), quiet=options.quiet) as advance:
        result = creation.create(spack, locks, found, destination, order, results.noted(advance))
    _print_created(options, found, result, target, as_json)
    if not result.is_complete:
        click.get_current_context().exit(int(ExitCode.NOT_READY))


@click.command(
    "config",
    cls=Command,
    exit_codes=(
        ExitCode.INVALID_INPUT,
        ExitCode.COULD_NOT_ASK,
        ExitCode.NOT_THERE,
        ExitCode.REFUSED,
        ExitCode.DAMAGED,
    ),
)
@click.argument("mirror")
@ENDPOINT
@click.option(
    "--spack-line", "line", default=str(USUAL), show_default=True, metavar="LINE", help="The release line of its users."
)
@click.option("--unsigned", is_flag=True, help="Let Spack take binaries that nobody signed.")
@click.option(
    "--root",
    metavar="FOLDER",
    help="Where users install: refuse if binaries were built in a folder with a shorter name, and say which.",
)
@click.option("--add", is_flag=True, help="Leave other mirrors in force, for sites that are not isolated.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write the files into this folder instead of printing them.",
)
@json_option
@click.pass_obj
def config(
    options: Options,
    /,
    mirror: str,
    endpoint_url: str | None,
    line: str,
    unsigned: bool,
    root: str | None,
    add: bool,
    output: Path | None,
    as_json: bool,
) -> None:
    """Print what users of a mirror tell Spack. That is its configuration, and the two commands that they need.

    \b
    Examples:
      jc mirror config /shared/mirror
      jc mirror config /shared/mirror -o /shared/mirror-config --root /apps/spack
      jc mirror config https://mirrors.example.org/site --spack-line 0.23
      jc mirror config oci://registry.example.org/cache
    """
    import json

    from foundation.doors.files import write_files
    from foundation.spack.releases import SpackLine
    from job_creator.mirrors.configuration import holdings

    try:
        known = SpackLine.parse(line)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--spack-line") from None
    made = holdings.configuration(
        mirror, endpoint_url, options.environment, known, is_signed=not unsigned, only_this=not add
    )
    if root:
        holdings.require_room(mirror, endpoint_url, options.environment, root)
    texts, folder = made.texts(), str(output.resolve()) if output else "FOLDER"
    if output:
        write_files(output, {name: text.encode() for name, text in texts.items()})
    elif not as_json:
        for name, text in texts.items():
            click.echo(f"# {name}\n{text}")
    for warning in made.warnings():
        click.echo(f"warning: {warning}", err=True)
    if as_json:
        click.echo(json.dumps(made.as_value(folder), indent=2))
    elif not options.quiet:
        # Beside the files where those are printed, so that they can be redirected.
        _print_instructions(made, folder, beside=not output)


COMMANDS: tuple[click.Command, ...] = (plan, create, config)


def _print_instructions(made: Configuration, folder: str, *, beside: bool) -> None:
    for command in made.admin_instructions():
        click.echo(f"Once on each machine:\n  {command}", err=beside)
    click.echo("Users run:", err=beside)
    for command in made.instructions(folder):
        click.echo(f"  {command}", err=beside)


def _spack(about: _About) -> SpackProgram:
    from foundation.spack.program import SpackProgram

    return SpackProgram(about["program"], scopes=about["scopes"])


def _locks(options: Options, spack: SpackProgram, about: _About) -> tuple[Lock, ...]:
    from job_creator.mirrors.needs.locks import Repository, find_locks

    if not about["wanted"] and not about["everything"]:
        raise click.UsageError("what is the mirror for? Name lockfiles, definitions or specs, or say --all")
    repository = Repository(options.directory, options.site_file, options.environment, about["architecture"])
    return find_locks(about["wanted"], repository, spack, everything=about["everything"])


def _needs(options: Options, spack: SpackProgram, locks: tuple[Lock, ...], about: _About) -> SourceNeeds:
    from job_creator.mirrors.needs.questions import ask

    return ask(spack, locks, _cache(options, about), options.environment)


def _cache(options: Options, about: _About) -> Path:
    if about["cache_dir"]:
        return about["cache_dir"]
    home = options.environment.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "spacktainers"


def _print_created(options: Options, found: MirrorPlan, result: Result | None, target: str, as_json: bool) -> None:
    from job_creator.mirrors.filling import results
    from job_creator.mirrors.needs import plan_report

    if as_json:
        value = plan_report.plan_as_value(found, target)
        click.echo(plan_report.as_json({**value, **results.result_as_value(result), "dry_run": result is None}))
    elif result is None and not options.quiet:
        for line in plan_report.plan_lines(found, target):
            click.echo(line)
    elif result is not None:
        for line in results.result_lines(found, result, target):
            if not options.quiet or not result.is_complete:
                click.echo(line)
