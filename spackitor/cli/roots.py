"""Commands for the roots that are recorded in the mirror."""

from __future__ import annotations

import json
from pathlib import Path

import click

from foundation.command_line import Command, console, json_option
from foundation.errors import ExitCode
from spackitor.cli.options import MIRROR, mirror, roots, store_of


@click.command("keep", cls=Command, exit_codes=(*MIRROR, ExitCode.INVALID_INPUT))
@mirror
@click.argument("specs", nargs=-1, metavar="[SPEC...]")
@roots
@click.option("--as", "name", required=True, help="What uses them: a branch, a published image.")
@click.option("--for", "days", type=click.FloatRange(min=0, min_open=True), metavar="DAYS", help="Not for ever.")
@json_option
@click.pass_context
def keep(
    context: click.Context,
    /,
    mirror: str,
    endpoint_url: str | None,
    specs: tuple[str, ...],
    lockfiles: tuple[Path, ...],
    keep_files: tuple[Path, ...],
    name: str,
    days: float | None,
    as_json: bool,
) -> None:
    """Record in the mirror what is in use.

    No cleaning removes it then, whoever does it. A record of the same name is replaced. Specs, written as for Spack,
    mean what the mirror has of them now; their DAG hashes are recorded.

    \b
    Examples:
      spackitor keep s3://cache/amd64 -e spack.lock --as main
      spackitor keep s3://cache/amd64 -e spack.lock --as feature/mpi --for 14
      spackitor keep s3://cache/amd64 'hdf5@1.14 +mpi %gcc@12' --as course --for 90
    """
    from spackitor import commands
    from spackitor.inventory.selection import joined

    if not lockfiles and not keep_files and not specs:
        raise click.UsageError("give at least one spec, lockfile (-e) or keep file (--keep-file)")
    given = commands.read_roots(lockfiles, keep_files)
    recorded = commands.keep(store_of(context, mirror, endpoint_url), name, given, days, joined(specs))
    if as_json:
        click.echo(json.dumps({"name": name, "hashes": recorded.hashes, "until": recorded.until}, indent=2))
    else:
        click.echo(f"{name}: {len(recorded.hashes)} roots recorded")


@click.command("forget", cls=Command, exit_codes=MIRROR)
@mirror
@click.argument("names", nargs=-1, metavar="NAME...")
@click.option("--over", "all_over", is_flag=True, help="Also those whose time is over.")
@json_option
@click.pass_context
def forget(
    context: click.Context,
    /,
    mirror: str,
    endpoint_url: str | None,
    names: tuple[str, ...],
    all_over: bool,
    as_json: bool,
) -> None:
    """Drop recorded roots.

    What they used stays until the next cleaning.

    \b
    Examples:
      spackitor forget s3://cache/amd64 feature/mpi
      spackitor forget s3://cache/amd64 --over
    """
    from spackitor import commands

    if not names and not all_over:
        raise click.UsageError("give at least one name, or --over")
    dropped = commands.forget(store_of(context, mirror, endpoint_url), names, all_over=all_over)
    if as_json:
        click.echo(json.dumps({"forgotten": dropped}, indent=2))
        return
    for name in dropped:
        click.echo(f"{name}: forgotten")


@click.command("roots", cls=Command, exit_codes=MIRROR)
@mirror
@json_option
@click.pass_context
def show_roots(context: click.Context, /, mirror: str, endpoint_url: str | None, as_json: bool) -> None:
    """List the recorded roots.

    \b
    Example:
      spackitor roots s3://cache/amd64
    """
    from spackitor import report
    from spackitor.inventory.roots import require_readable
    from spackitor.survey.side_folder import read_side_folder

    store = store_of(context, mirror, endpoint_url)
    _, recorded = read_side_folder(store)
    if as_json:
        values = [
            {
                "name": one.name,
                "hashes": one.hashes,
                "until": one.until,
                **({"damage": one.damage} if one.damage else {}),
            }
            for one in recorded
        ]
        click.echo(json.dumps(values, indent=2))
    else:
        report.print_roots(recorded, store.now(), console())
    require_readable(store.url, recorded)
