"""Commands for the roots that are recorded in the mirror."""

from __future__ import annotations

from pathlib import Path

import click

from job_creator.command_line import console
from spackitor.cli.options import mirror, roots, store_of


@click.command("keep")
@mirror
@roots
@click.option("--as", "name", required=True, help="What uses them: a branch, a published image.")
@click.option("--for", "days", type=click.FloatRange(min=0, min_open=True), metavar="DAYS", help="Not for ever.")
@click.pass_context
def keep(
    context: click.Context,
    /,
    mirror: str,
    endpoint_url: str | None,
    lockfiles: tuple[Path, ...],
    keep_files: tuple[Path, ...],
    name: str,
    days: float | None,
) -> None:
    """Record in the mirror what is in use, so that no cleaning removes it, whoever does it.

    A record of the same name is replaced.

    \b
    Examples:
      spackitor keep s3://cache/amd64 -e spack.lock --as main
      spackitor keep s3://cache/amd64 -e spack.lock --as feature/mpi --for 14
    """
    from spackitor import commands

    if not lockfiles and not keep_files:
        raise click.UsageError("give at least one lockfile (-e) or keep file (--keep-file)")
    given = commands.read_roots(lockfiles, keep_files)
    recorded = commands.keep(store_of(context, mirror, endpoint_url), name, given, days)
    click.echo(f"{name}: {len(recorded.hashes)} roots recorded")


@click.command("forget")
@mirror
@click.argument("names", nargs=-1, metavar="NAME...")
@click.option("--over", "all_over", is_flag=True, help="Also those whose time is over.")
@click.pass_context
def forget(
    context: click.Context, /, mirror: str, endpoint_url: str | None, names: tuple[str, ...], all_over: bool
) -> None:
    """Drop recorded roots. What they used stays until the next cleaning.

    \b
    Examples:
      spackitor forget s3://cache/amd64 feature/mpi
      spackitor forget s3://cache/amd64 --over
    """
    from spackitor import commands

    if not names and not all_over:
        raise click.UsageError("give at least one name, or --over")
    for name in commands.forget(store_of(context, mirror, endpoint_url), names, all_over=all_over):
        click.echo(f"{name}: forgotten")


@click.command("roots")
@mirror
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs instead.")
@click.pass_context
def show_roots(context: click.Context, /, mirror: str, endpoint_url: str | None, as_json: bool) -> None:
    """List the recorded roots.

    \b
    Example:
      spackitor roots s3://cache/amd64
    """
    import json

    from spackitor import report, survey

    store = store_of(context, mirror, endpoint_url)
    _, recorded = survey.read_side_folder(store)
    if as_json:
        values = [{"name": one.name, "hashes": one.hashes, "until": one.until} for one in recorded]
        click.echo(json.dumps(values, indent=2))
    else:
        report.print_roots(recorded, store.now(), console())
