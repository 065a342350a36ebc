"""The commands that the jobs of containers call: `jc publish-sif`, `jc clean-branches`.

Each asks, prints its plan, and then does it. Imports stand in the commands, so that `jc --help` answers at once.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from foundation.command_line import Command, console, json_option
from foundation.errors import ExitCode
from foundation.shown import shown_size
from job_creator.options import Options
from job_creator.publishing.command_options import DRY_RUN, ENDPOINT, KEEP_DAYS, location, open_bucket, server

if TYPE_CHECKING:
    from job_creator.publishing.places import PublishingPlace
    from job_creator.publishing.record import PublicationRecord
    from job_creator.site.places import Retention


_FILE = click.Path(path_type=Path, dir_okay=False, exists=True)


@click.command(
    "publish-sif",
    cls=Command,
    exit_codes=(
        ExitCode.INVALID_INPUT,
        ExitCode.COULD_NOT_ASK,
        ExitCode.REFUSED,
        ExitCode.DAMAGED,
    ),
)
@click.argument("file", type=_FILE)
@click.option("--record", "record_file", type=_FILE, required=True, help="What is known of the file, as JSON.")
@click.option("--to", "target", required=True, metavar="S3_URL", help="Where it goes: s3://bucket/prefix.")
@ENDPOINT
@click.option("--image-digest", metavar="SHA256", help="Of the image that it was made from: sha256:<64 hex digits>.")
@click.option(
    "--keep", type=click.IntRange(min=1), help="Keep the newest N versions of the same ref, this one included."
)
@click.option("--older-than", type=click.IntRange(min=0), metavar="DAYS", help="Of the others, remove what is older.")
@DRY_RUN
@json_option
@click.pass_obj
def publish_sif(
    options: Options,
    /,
    file: Path,
    record_file: Path,
    target: str,
    endpoint_url: str | None,
    image_digest: str | None,
    keep: int | None,
    older_than: int | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Upload a SIF file and verify it. It gets its name last; nothing is uploaded if it is published already.

    It goes to a temporary key first, so that this can be interrupted anywhere and run again. Old versions of the same
    container, architecture and ref go if both --keep and --older-than allow it.

    \b
    Examples:
      jc publish-sif neuron.sif --record neuron.json --to s3://containers/sif
      jc publish-sif neuron.sif --record neuron.json --to s3://containers/sif --keep 3 --older-than 30 --dry-run
    """
    from foundation.progress import transfer_progress
    from job_creator.publishing import publication, report

    record = _read_record(record_file, image_digest)
    store = open_bucket(location(target), server(options, endpoint_url))
    now = datetime.now(UTC)
    plan = publication.make_plan(store, record, _retention(keep, older_than), now)
    if not (as_json or options.quiet):
        click.echo(f"{'upload to' if plan.uploads else 'leave'} {plan.place}: {plan.reason}")
        report.print_removals(plan.removals, console())
    published = plan.record
    if not dry_run:
        size = file.stat().st_size if plan.uploads else 0
        with transfer_progress(f"uploading {file.name}", size, quiet=options.quiet) as progress:
            published = publication.publish(store, plan, file, progress, now)
    if as_json:
        values = {
            "place": plan.place,
            "action": "upload" if plan.uploads else "leave",
            "reason": plan.reason,
            "record": published.to_value(),
        }
        click.echo(report.as_json({**values, "removals": report.removals_as_values(plan.removals), "dry_run": dry_run}))


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
@click.option("--refs-file", type=_FILE, help="Take them from this file instead, one full ref per line.")
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


COMMANDS = (publish_sif, clean_branches)


def _read_record(path: Path, image_digest: str | None) -> PublicationRecord:
    from foundation.doors.files import read_file
    from job_creator.publishing.record import PublicationRecord

    record = PublicationRecord.from_json(read_file(path), str(path))
    if image_digest is None:
        return record
    # Through JSON, so that the digest is validated like everything else.
    return PublicationRecord.from_json(replace(record, image_digest=image_digest).to_json(), "--image-digest")


def _retention(keep: int | None, older_than: int | None) -> Retention | None:
    from job_creator.site.places import Retention

    if keep is None and older_than is None:
        return None
    if keep is None or older_than is None:
        raise click.UsageError("old versions go by both --keep and --older-than, or not at all")
    return Retention(keep=keep, older_than_days=older_than)


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
