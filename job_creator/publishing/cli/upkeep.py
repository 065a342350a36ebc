"""Commands of who looks after what is published: its list with what is proven, and what goes with its branch.

Imports stand in the commands, so that `jc --help` answers at once.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from foundation.command_line import Command, console, json_option
from foundation.errors import ExitCode
from foundation.shown import shown_size
from job_creator.options import ENDPOINT, Options
from job_creator.publishing.command_options import (
    DRY_RUN,
    FILE,
    KEEP_DAYS,
    PUBLIC_KEY,
    key_in,
    location,
    open_bucket,
    server,
)

if TYPE_CHECKING:
    from job_creator.publishing.places import PublishingPlace


@click.command(
    "list-sif",
    cls=Command,
    exit_codes=(ExitCode.COULD_NOT_ASK, ExitCode.REFUSED),
)
@click.argument("place", metavar="S3_URL")
@ENDPOINT
@PUBLIC_KEY
@json_option
@click.pass_obj
def list_sif(options: Options, /, place: str, endpoint_url: str | None, public_key: str | None, as_json: bool) -> None:
    """List the SIF files of a bucket. What each was built for, and whether a signature proves it.

    \b
    Examples:
      jc list-sif s3://containers/sif
      jc list-sif s3://containers/sif --public-key site.asc --json
    """
    from foundation.stores.store import look_at_all
    from job_creator.publishing import report
    from job_creator.publishing.places import own_record
    from job_creator.publishing.proofs import verdicts

    store = open_bucket(location(place), server(options, endpoint_url))
    keys = [one.key for one in store.list("", below=False)]
    found = [one for one in look_at_all(store, keys) if own_record(one)]
    proofs = verdicts(store, found, key_in(public_key, "--public-key"))
    listed = [(one.key, record, proofs[one.key]) for one in found if (record := own_record(one))]
    if as_json:
        values = [
            {"file": key, "proven": proof.is_good, "reason": proof.reason, "record": record.to_value()}
            for key, record, proof in listed
        ]
        click.echo(report.as_json({"files": values}))
        return
    report.print_listing(listed, console())


@click.command(
    "clean-branches",
    cls=Command,
    exit_codes=(
        ExitCode.INVALID_INPUT,
        ExitCode.COULD_NOT_ASK,
        ExitCode.NOT_THERE,
        ExitCode.NOT_READY,
        ExitCode.REFUSED,
    ),
)
@click.argument("places", nargs=-1, required=True, metavar="(S3_URL | DIRECTORY)...")
@ENDPOINT
@click.option("--remote", default="origin", show_default=True, help="Whose branches and tags live; asked in -C.")
@click.option("--refs-file", type=FILE, help="Take them from this file instead, one full ref per line.")
@click.option("--default-branch", metavar="NAME", help="Its files always stay. [variable: CI_DEFAULT_BRANCH]")
@click.option(
    "--max-delete",
    "most_percent",
    type=click.FloatRange(0, 100),
    default=50,
    show_default=True,
    metavar="PERCENT",
    help="Refuse to remove a larger share of what was built on branches (up to five files may always go).",
)
@KEEP_DAYS
@DRY_RUN
@json_option
@click.pass_obj
def clean_branches(
    options: Options,
    /,
    places: tuple[str, ...],
    endpoint_url: str | None,
    remote: str,
    refs_file: Path | None,
    default_branch: str | None,
    most_percent: float,
    keep_days: int,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Remove SIF files of branches that are gone. And of tags, published or installed.

    What a file was built for is on record with it; its name does not count. Releases always stay, and so does
    everything without a record. In a folder the links go at once, and the file when no job can run from it any more.

    \b
    Examples:
      jc clean-branches s3://containers/sif --dry-run
      jc clean-branches s3://containers/sif /containers --default-branch main
    """
    from job_creator.publishing import cleanup, report

    default = default_branch or options.environment.get("CI_DEFAULT_BRANCH")
    if not default:
        raise click.UsageError("which branch is the default branch? Say --default-branch, or set CI_DEFAULT_BRANCH")
    default_ref = cleanup.HEADS + default
    live = _live_refs(options, remote, refs_file)
    cleanup.require_plausible(live, default_ref, str(refs_file or remote))
    asked = [_place(text, server(options, endpoint_url), keep_days) for text in places]
    plans = cleanup.make_plan(asked, live, default_ref, most_percent)
    removals = [removal for plan in plans for removal in plan.removals]
    if not (as_json or options.quiet):
        report.print_removals(removals, console())
        freed = shown_size(sum(map(report.size_of, removals)))
        click.echo(f"{len(removals)} of {sum(plan.on_record for plan in plans)} go, {freed}")
    if not dry_run:
        cleanup.clean(plans)
    if as_json:
        click.echo(report.as_json({"removals": report.removals_as_values(removals), "dry_run": dry_run}))


def _place(text: str, endpoint: str | None, keep_days: int) -> PublishingPlace:
    from job_creator.publishing.clusters.folder_place import FolderPlace
    from job_creator.publishing.places import BucketPlace

    if text.startswith("s3:"):
        return BucketPlace(open_bucket(location(text), endpoint))
    return FolderPlace(Path(text), keep_days, datetime.now(UTC))


def _live_refs(options: Options, remote: str, refs_file: Path | None) -> frozenset[str]:
    from foundation.doors.git import live_refs
    from job_creator.publishing.cleanup import read_refs

    return read_refs(refs_file) if refs_file else live_refs(remote, options.directory)
