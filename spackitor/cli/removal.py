"""Commands that remove, and the ones that undo it or make it final."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import click

from foundation.command_line import Command, Size, console, json_option
from foundation.errors import ExitCode
from spackitor.cli.options import (
    FOLDER,
    MIRROR,
    CarefulOptions,
    careful,
    may_be_empty,
    mirror,
    mirrors,
    options_of,
    public_key,
    roots,
    store_of,
)

if TYPE_CHECKING:
    from foundation.stores.store import Store
    from spackitor.cli.several import MirrorAddress
    from spackitor.commands import RunOutcome


@click.command("clean", cls=Command, exit_codes=(*MIRROR, ExitCode.INVALID_INPUT))
@mirrors
@may_be_empty
@roots
@click.option("--keep-build-deps", is_flag=True, help="Keep what is needed to build, too.")
@click.option("--max-age", type=click.FloatRange(min=0), metavar="DAYS", help="Remove what is older and in no use.")
@click.option(
    "--max-size",
    type=Size(),
    metavar="SIZE",
    help="Then remove what was used least recently until the rest fits, as in 500GiB.",
)
@click.option(
    "--spack-directory",
    "folders",
    type=FOLDER,
    multiple=True,
    help="Remove packages that this clone of Spack or of its packages, or this package repository, no longer has. "
    "May be repeated.",
)
@click.option("--sources", is_flag=True, help="Remove sources that no kept lockfile needs, and leave binaries alone.")
@careful
@json_option
@click.pass_context
def clean(
    context: click.Context,
    /,
    mirrors: tuple[str, ...],
    endpoint_url: str | None,
    site_file: Path | None,
    may_be_empty: bool,
    lockfiles: tuple[Path, ...],
    keep_files: tuple[Path, ...],
    keep_build_deps: bool,
    max_age: float | None,
    max_size: int | None,
    folders: tuple[Path, ...],
    sources: bool,
    as_json: bool,
    **values: Unpack[CarefulOptions],
) -> None:
    """Remove what is in no use.

    Kept is whatever roots need to run: the lockfiles and keep files given here, and the roots recorded in the mirror
    with 'spackitor keep'. The rest goes if it is too old, if its package no longer exists, if it is broken, or if no
    index lists it. The index is made to fit.

    With --sources, what goes are sources that no package of these lockfiles needs, to run or to be built. What a
    package needs is recorded in the mirror by 'jc mirror create'.

    Several mirrors are cleaned in turn, each for itself; where one fails, the others are still cleaned, and the exit
    code is that of the worst.

    \b
    Examples:
      spackitor clean s3://cache/amd64 --max-age 30 -e spack.lock --dry-run
      spackitor clean s3://cache/amd64 --max-age 30 -e one/spack.lock -e two/spack.lock
      spackitor clean /shared/cache --max-size 2TiB --plan plan.json
      spackitor clean s3://cache/amd64 s3://cache/arm64 --max-age 30 -e spack.lock
      spackitor clean --site spacktainers.yaml --dry-run
      spackitor clean --sources /shared/mirror -e spack.lock --dry-run
    """
    from dataclasses import replace

    from spackitor import commands, report
    from spackitor.cli import several

    if sources and (keep_files or keep_build_deps or max_size is not None or folders):
        raise click.UsageError(
            "--sources goes by lockfiles (-e) and ages only; "
            "--keep-file, --keep-build-deps, --max-size and --spack-directory are for binaries"
        )
    places = several.addresses(mirrors, endpoint_url, site_file)
    if not places:
        raise click.UsageError("which mirror? Name some, or a site file (--site)")
    is_one = len(places) == 1
    if values["plan_file"] and not is_one:
        raise click.UsageError("--plan is for one mirror; --json has the plans of all")
    given = commands.read_roots(lockfiles, keep_files)
    packages = commands.read_packages(folders)
    options = replace(options_of(values), may_be_empty=may_be_empty)
    show = _shown(is_dry_run=options.is_dry_run, as_json=as_json)

    def clean_one(place: MirrorAddress, store: Store) -> RunOutcome:
        age = place.max_age if max_age is None else max_age
        with report.progress() as progress:
            if sources:
                return commands.clean_sources(store, given, age, options, show, progress)
            rules = commands.CleanRules(age, max_size, keep_build_deps, packages)
            return commands.clean(store, given, rules, options, show, progress)

    if is_one:
        _finish(clean_one(places[0], store_of(context, places[0].url, places[0].endpoint)), as_json=as_json)
        return
    done = several.clean_each(places, lambda place: store_of(context, place.url, place.endpoint), clean_one)
    several.tell(done, "sources" if sources else "specs", is_dry_run=options.is_dry_run, as_json=as_json)
    context.exit(int(several.worst(done)))


@click.command("purge", cls=Command, exit_codes=MIRROR)
@mirror
@click.argument("specs", nargs=-1, metavar="[SPEC]...")
@click.option(
    "--unsigned", is_flag=True, help="Remove everything that nobody signed, as a signed mirror must not have."
)
@public_key
@click.option("--dependents", "with_dependents", is_flag=True, help="Remove what depends on specs that are named, too.")
@careful
@json_option
@click.pass_context
def purge(
    context: click.Context,
    /,
    mirror: str,
    endpoint_url: str | None,
    specs: tuple[str, ...],
    unsigned: bool,
    public_key: Path | None,
    with_dependents: bool,
    as_json: bool,
    **values: Unpack[CarefulOptions],
) -> None:
    """Remove the specs that are named.

    With --unsigned, those that nobody signed, and with --public-key beside it also those that none of these keys
    signed: Spack never installs them from a mirror whose signatures count, and takes them for up to date all the same.
    They go whatever their age and whoever needs them; the next pipeline builds them again.

    Specs are written as for Spack; names may be patterns such as 'py-*'. What only recipes know, such as which packages
    provide mpi, is refused. What roots need, or what is too young, is never removed.

    \b
    Examples:
      spackitor purge s3://cache/amd64 openmpi@4.1.5 --dependents --dry-run
      spackitor purge s3://cache/amd64 'hdf5@1.12: +mpi target=x86_64_v3 %gcc@12' --dry-run
      spackitor purge /shared/cache /txnadui 'py-torch*'
      spackitor purge s3://cache/amd64 --unsigned --public-key public.asc --dry-run
    """
    from foundation.doors.files import read_file
    from spackitor import report
    from spackitor.inventory.selection import joined
    from spackitor.purging import PurgeOrder
    from spackitor.purging import purge as purge_mirror

    if not specs and not unsigned:
        raise click.UsageError("which specs? Name some, or say --unsigned")
    if public_key and not unsigned:
        raise click.UsageError("--public-key says whose signatures count, with --unsigned")
    options = options_of(values)
    show = _shown(is_dry_run=options.is_dry_run, as_json=as_json, as_tree=True)
    store = store_of(context, mirror, endpoint_url)
    order = PurgeOrder(joined(specs), with_dependents, unsigned, read_file(public_key) if public_key else None)
    with report.progress() as progress:
        outcome = purge_mirror(store, order, options, show, progress)
    _finish(outcome, as_json=as_json)


@click.command("restore", cls=Command, exit_codes=MIRROR)
@mirror
@click.option("--run", "run_id", metavar="ID", help="Which run; the latest one if none is given.")
@click.option("--list", "only_list", is_flag=True, help="Only show what can be brought back.")
@json_option
@click.pass_context
def restore(
    context: click.Context,
    /,
    mirror: str,
    endpoint_url: str | None,
    run_id: str | None,
    only_list: bool,
    as_json: bool,
) -> None:
    """Bring back what a run removed.

    Its entries in the index are back, too. What is back counts as new: the next run does not remove it at once.

    \b
    Examples:
      spackitor restore s3://cache/amd64 --list
      spackitor restore s3://cache/amd64
      spackitor restore /shared/cache --run 20260102T030405Z-1a2b
    """
    from dataclasses import asdict

    from foundation.errors import DamagedError
    from spackitor import report
    from spackitor.removal import recovery
    from spackitor.survey.side_folder import read_side_folder

    store = store_of(context, mirror, endpoint_url)
    if only_list:
        runs = [run for run in read_side_folder(store)[0] if run.moved]
        if as_json:
            values = [{**asdict(run), "until": run.until if math.isfinite(run.until) else None} for run in runs]
            click.echo(json.dumps(values, indent=2))
        else:
            report.print_runs(runs, console())
        return
    done = recovery.restore(store, run_id)
    things = "sources" if done.run.is_of_sources else "specs"
    if as_json:
        click.echo(json.dumps({"run": done.run.id, "restored": done.count, "failed": dict(done.failed)}, indent=2))
    else:
        click.echo(f"{done.count} {things} of run {done.run.id} are back")
    if done.failed:
        key, reason = next(iter(done.failed.items()))
        raise DamagedError(f"{len(done.failed)} {things} are not, such as {key}: {reason}")


@click.command("empty-quarantine", cls=Command, exit_codes=MIRROR)
@mirror
@click.option("--all", "everything", is_flag=True, help="Even if the time of grace has not passed.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@json_option
@click.pass_context
def empty_quarantine(
    context: click.Context, /, mirror: str, endpoint_url: str | None, everything: bool, dry_run: bool, as_json: bool
) -> None:
    """Delete for good what was removed.

    That is what can no longer be brought back. 'clean' does so, too.

    \b
    Examples:
      spackitor empty-quarantine s3://cache/amd64
      spackitor empty-quarantine /shared/cache --all
    """
    from spackitor import commands, report

    options = commands.RunOptions(is_dry_run=dry_run)
    show = _shown(is_dry_run=dry_run, as_json=as_json)
    store = store_of(context, mirror, endpoint_url)
    with report.progress() as progress:
        outcome = commands.empty_quarantine(store, options, everything=everything, show=show, progress=progress)
    _finish(outcome, as_json=as_json)


def _shown(*, is_dry_run: bool, as_json: bool, as_tree: bool = False) -> Callable[[RunOutcome], None]:
    """Prints a plan before it is carried out."""
    from spackitor import report

    def show(outcome: RunOutcome) -> None:
        if as_json:
            return
        if as_tree:
            report.print_tree(outcome, console())
        report.print_outcome(outcome, console(), is_dry_run=is_dry_run)

    return show


def _finish(outcome: RunOutcome, *, as_json: bool) -> None:
    from spackitor import commands, report

    if as_json:
        click.echo(json.dumps(outcome.as_value(), indent=2))
    else:
        report.print_done(outcome, console())
    if outcome.report:
        commands.require_done(outcome.report)
