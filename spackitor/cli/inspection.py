"""Commands that look at a mirror, and the ones that make its index anew."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from foundation.command_line import Command, console, json_option
from foundation.errors import ExitCode
from foundation.stores.schemes import REGISTRY, kind_of
from spackitor.cli.options import FILE, MIRROR, inventory_of, may_be_empty, mirror, public_key, store_of

if TYPE_CHECKING:
    from foundation.stores.store import Store
    from spackitor.removal.indexes import IndexesMade
    from spackitor.survey.check import CacheFault


@click.command("list", cls=Command, exit_codes=MIRROR)
@mirror
@may_be_empty
@click.argument("specs", nargs=-1, metavar="[SPEC]...")
@json_option
@click.pass_context
def list_specs(
    context: click.Context,
    /,
    mirror: str,
    endpoint_url: str | None,
    may_be_empty: bool,
    specs: tuple[str, ...],
    as_json: bool,
) -> None:
    """List the specs in the cache.

    All, or those that are named: written as for Spack, or with a pattern as name.

    \b
    Examples:
      spackitor list s3://cache/amd64
      spackitor list oci://registry.example.org/cache
      spackitor list /shared/cache 'py-*' openmpi@4
      spackitor list /shared/cache 'hdf5 +mpi ^zlib-ng %gcc@12'
    """
    from foundation.tables import print_table
    from spackitor import report
    from spackitor.inventory import contents
    from spackitor.inventory.selection import joined, select

    inventory = inventory_of(context, mirror, endpoint_url, may_be_empty=may_be_empty)
    chosen = select(inventory, joined(specs)) if specs else inventory.usable
    if as_json:
        click.echo(json.dumps(contents.spec_values(inventory, chosen), indent=2))
        return
    heading = ("package", "version", "hash", "target", "age", "size", "layout", "signature")
    # An empty column would tell most people of something that they have never heard of.
    print_table((*heading, "views") if inventory.views else heading, report.rows_of_specs(inventory, chosen), console())


@click.command("stats", cls=Command, exit_codes=MIRROR)
@mirror
@may_be_empty
@click.option("--by", type=click.Choice(["package", "version", "target", "age"]), default="package", show_default=True)
@json_option
@click.pass_context
def stats(
    context: click.Context, /, mirror: str, endpoint_url: str | None, may_be_empty: bool, by: str, as_json: bool
) -> None:
    """Say what takes the space.

    \b
    Examples:
      spackitor stats s3://cache/amd64
      spackitor stats /shared/cache --by age --json
    """
    from foundation.tables import print_table
    from spackitor import report
    from spackitor.inventory import contents

    inventory = inventory_of(context, mirror, endpoint_url, may_be_empty=may_be_empty)
    groups = contents.grouped(inventory, by)
    if as_json:
        value = {
            "specs": len(inventory.usable),
            "bytes": inventory.size(inventory.usable),
            "objects": inventory.objects,
            "unrecognised": inventory.unrecognised,
            "views": {
                name: {"specs": len(hashes), "bytes": inventory.size(hashes)}
                for name, hashes in sorted(inventory.views.items())
            },
            "groups": contents.group_values(groups),
        }
        click.echo(json.dumps(value, indent=2))
        return
    print_table((by, "specs", "size", "youngest", "oldest"), report.rows_of_groups(groups), console())
    click.echo(report.total_line(inventory))
    for line in report.lines_of_views(inventory):
        click.echo(line)


@click.command("check", cls=Command, exit_codes=MIRROR)
@mirror
@may_be_empty
@click.option("--deep", is_flag=True, help="Read every archive: checksums and padding.")
@public_key
@click.option(
    "--fix",
    is_flag=True,
    help="Make the index fit what is there; drop views that cannot be read. "
    "With --public-key, also remove what is not signed by these keys.",
)
@json_option
@click.pass_context
def check(
    context: click.Context,
    /,
    mirror: str,
    endpoint_url: str | None,
    may_be_empty: bool,
    deep: bool,
    public_key: Path | None,
    fix: bool,
    as_json: bool,
) -> None:
    """Look for what is broken or missing.

    The index is compared with the objects; what is broken, unsigned, left over or not there is listed. What is left
    over or broken is removed by 'clean'.

    With --public-key, every signature is verified, and --fix removes what has none by these keys: Spack takes it for up
    to date and does not install it. That is as 'purge --unsigned' does it, and 'restore' brings it back.

    \b
    Examples:
      spackitor check s3://cache/amd64
      spackitor check s3://cache/amd64 --public-key public.asc --fix
      spackitor check /shared/cache --deep
      spackitor check /shared/cache --fix
    """
    from foundation.doors.files import read_file
    from foundation.errors import DamagedError
    from spackitor import report
    from spackitor.survey import check as checks
    from spackitor.survey.survey import survey

    store = store_of(context, mirror, endpoint_url)
    keys = read_file(public_key) if public_key else None
    seen = survey(store, may_be_empty=may_be_empty)
    findings = list(checks.check(seen, by_keys=keys is not None))
    findings += checks.check_signatures(store, seen.inventory, keys) if keys else ()
    findings += checks.check_deeply(store, seen.inventory) if deep else checks.check_blobs(store, seen.inventory)
    if as_json:
        click.echo(checks.as_json(findings))
    else:
        for one in findings:
            click.echo(f"{one.kind}: {one.what}: {one.message}")
        if not findings:
            how = "every archive was read" if deep else "archives were not read, see --deep"
            click.echo(f"{store.url}: nothing is wrong with its {len(seen.inventory.usable)} specs; {how}")
        for line in report.lines_of_views(seen.inventory):
            click.echo(line)
    if fix:
        mended = _mend(store, keys, {one.kind for one in findings})
        findings = [one for one in findings if one.kind not in mended]
    if findings:
        raise DamagedError(f"{store.url}: {len(findings)} findings")


def _mend(store: Store, keys: bytes | None, found: set[CacheFault]) -> set[CacheFault]:
    """Mend what can be mended of what was found; returns what is mended."""
    from spackitor.commands import RunOptions, require_done
    from spackitor.purging import PurgeOrder, purge
    from spackitor.removal.indexes import make_indexes_fit
    from spackitor.survey.check import CacheFault

    mended: set[CacheFault] = set()
    if CacheFault.INDEX in found:
        made = make_indexes_fit(store)
        click.echo("the index lists what is there now", err=True)
        _tell_dropped(made)
        mended.add(CacheFault.INDEX)
    signatures = {CacheFault.UNSIGNED, CacheFault.SIGNATURE}
    if keys and signatures & found:
        outcome = purge(store, PurgeOrder(unsigned=True, keys=keys), RunOptions(), lambda _: None, lambda *_: None)
        if outcome.report:
            require_done(outcome.report)
        click.echo(f"{len(outcome.plan.removals)} specs without a signature that counts are removed", err=True)
        mended |= signatures
    return mended


@click.command("reindex", cls=Command, exit_codes=MIRROR)
@mirror
@may_be_empty
@json_option
@click.pass_context
def reindex(
    context: click.Context, /, mirror: str, endpoint_url: str | None, may_be_empty: bool, as_json: bool
) -> None:
    """Make the index anew from every spec file. Whatever it listed before.

    Views list what they listed, as far as it is there; one that cannot be read is dropped. Where there are only views,
    no other index is made.

    \b
    Example:
      spackitor reindex s3://cache/amd64
    """
    from spackitor.removal.indexes import make_indexes_fit

    made = make_indexes_fit(store_of(context, mirror, endpoint_url), anew=True, may_be_empty=may_be_empty)
    if as_json:
        click.echo(json.dumps({"specs": made.specs, "dropped_views": made.dropped}))
    else:
        indexes = "the index" if made.has_main else "the cache, which has views only"
        click.echo(f"{made.specs} specs are in {indexes}")
    _tell_dropped(made)


@click.command("index", cls=Command, exit_codes=(*MIRROR, ExitCode.INVALID_INPUT))
@mirror
@may_be_empty
@click.option("--view", help="Add to this view of Spack 1.2, which is made if it is not there.")
@click.option(
    "-e",
    "--environment",
    "lockfiles",
    type=FILE,
    multiple=True,
    metavar="LOCKFILE",
    help="What is added to the view: all that this spack.lock has. May be repeated.",
)
@click.option("--only", is_flag=True, help="The view lists that and nothing else.")
@json_option
@click.pass_context
def index(
    context: click.Context,
    /,
    mirror: str,
    endpoint_url: str | None,
    may_be_empty: bool,
    view: str | None,
    lockfiles: tuple[Path, ...],
    only: bool,
    as_json: bool,
) -> None:
    """Add what was pushed to the index.

    Only what is new since the last time is read, where 'spack buildcache update-index' reads every spec file. Spack
    reads the result as its own.

    \b
    Examples:
      spackitor index s3://cache/amd64
      spackitor index s3://cache/amd64 --view prod -e spack.lock
      spackitor index s3://cache/amd64 --view hdf5-stack -e spack.lock --only
    """
    from foundation.doors.files import read_file
    from foundation.spack.lockfile import read_lockfile
    from spackitor.removal.indexes import add_what_is_new

    if bool(view) != bool(lockfiles):
        raise click.UsageError("--view and -e belong together: a view lists what somebody says")
    if only and not view:
        raise click.UsageError("--only is about a view: an index lists all that is there")
    if view and not re.fullmatch(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*", view):
        raise click.BadParameter("letters, digits, '_', '.' and '-' make a name", param_hint="--view")
    locks = [read_lockfile(read_file(path), str(path)) for path in lockfiles]
    hashes = {hash_ for lock in locks for hash_, spec in lock.specs.items() if not spec.is_external}
    if view and kind_of(mirror) is REGISTRY:
        raise click.UsageError("build caches in registries have no views")
    store = store_of(context, mirror, endpoint_url)
    made = add_what_is_new(store, {view: hashes} if view else None, only=only, may_be_empty=may_be_empty)
    if as_json:
        click.echo(json.dumps({"specs": made.specs, "requests": dict(sorted(store.requests.items()))}))
    else:
        click.echo(f"{made.specs} specs are in {'the index' if made.has_main else 'the cache, which has views only'}")


def _tell_dropped(made: IndexesMade) -> None:
    for name in made.dropped:
        click.echo(
            f"view {name}: could not be read, so that nobody knows what it listed, and is dropped; its owner makes it "
            f"again with: spack buildcache update-index --name {name} MIRROR ENVIRONMENT",
            err=True,
        )
