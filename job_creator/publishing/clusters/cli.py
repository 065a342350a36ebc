"""`jc install-sif`, which jobs on clusters call. Imports stand in it, so that `jc --help` answers at once."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from foundation.command_line import Command, console, json_option
from foundation.errors import ExitCode
from job_creator.options import ENDPOINT, Options
from job_creator.publishing.command_options import (
    DRY_RUN,
    KEEP_DAYS,
    PUBLIC_KEY,
    key_in,
    location,
    open_bucket,
    server,
)

if TYPE_CHECKING:
    from job_creator.publishing.clusters.installation import InstallPlan


class _Mode(click.ParamType[int]):
    """Permissions in octal digits."""

    name = "mode"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number. Fails for anything else than three digits, or a 0 and three digits."""
        if not re.fullmatch(r"0?[0-7]{3}", str(value)):
            self.fail(f"{value!r} is not three octal digits, such as 0755", param, ctx)
        return int(str(value), 8)


MODE = _Mode()


@click.command(
    "install-sif",
    cls=Command,
    exit_codes=(
        ExitCode.COULD_NOT_ASK,
        ExitCode.NOT_THERE,
        ExitCode.REFUSED,
        ExitCode.DAMAGED,
    ),
)
@click.argument("source", metavar="S3_URL")
@click.option(
    "--to", "folder", type=click.Path(path_type=Path, file_okay=False), required=True, help="The cluster's folder."
)
@ENDPOINT
@click.option("--cluster", default="", metavar="NAME", help="Note in the bucket that this cluster has the file.")
@click.option(
    "--keep",
    type=click.IntRange(min=0),
    default=2,
    show_default=True,
    help="Keep so many previous files of the same ref, for jobs that are running.",
)
@KEEP_DAYS
@click.option(
    "--pipeline",
    type=click.IntRange(min=0),
    default=0,
    metavar="NUMBER",
    help="The pipeline of the default branch that wants this; 'current' follows the newest. "
    "[default: the one that published it]",
)
@click.option("--fingerprint", default="", metavar="DIGITS", help="Of what it wants; an older file is refused.")
@PUBLIC_KEY
@click.option(
    "--unproven",
    type=click.Choice(["refuse", "install"]),
    help="What becomes of a file that no signature proves. [default: refuse with --public-key, otherwise install]",
)
@click.option("--folder-mode", type=MODE, default="0755", show_default=True, help="Permissions of new folders.")
@click.option("--file-mode", type=MODE, default="0755", show_default=True, help="Permissions of SIF files.")
@click.option("--verify", is_flag=True, help="Read what is installed already, and install it anew if it is damaged.")
@DRY_RUN
@json_option
@click.pass_obj
def install_sif(
    options: Options,
    /,
    source: str,
    folder: Path,
    endpoint_url: str | None,
    cluster: str,
    keep: int,
    keep_days: int,
    pipeline: int,
    fingerprint: str,
    public_key: str | None,
    unproven: str | None,
    folder_mode: int,
    file_mode: int,
    verify: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Install a SIF file on a cluster. It is downloaded into a folder and verified, then its links point to it.

    \b
    The file    DIRECTORY/<container>/<container>__<tag>.<part of its sha256>.sif
    its links   DIRECTORY/<container>/<container>__<tag>.sif
                DIRECTORY/<container>/current                 (releases only)

    Running jobs keep the file that they started with. A file that a link points to is never removed, and another one
    not before --keep-days. An older pipeline that is run again moves no 'current'.

    With the site's public keys a file counts only if its record is signed, and older files are not put back.

    \b
    Examples:
      jc install-sif s3://containers/sif/neuron__9.0.sif --to /containers
      jc install-sif s3://containers/sif/neuron__9.0.sif --to /containers --cluster big --keep 1 --dry-run
    """
    from foundation.progress import transfer_progress
    from foundation.stores.s3_client import S3Location
    from job_creator.publishing import report
    from job_creator.publishing.clusters import installation
    from job_creator.publishing.clusters.sif_folder import Modes

    place = location(source)
    if not place.key:
        raise click.BadParameter("names no file; write s3://bucket/prefix/<file>.sif", param_hint="S3_URL")
    if cluster and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", cluster):
        raise click.BadParameter("letters, digits, '.', '_' and '-' only", param_hint="--cluster")
    prefix, _, name = place.key.rpartition("/")
    store = open_bucket(S3Location(place.bucket, prefix), server(options, endpoint_url))
    now = datetime.now(UTC)
    rules = installation.Rules(keep, keep_days, Modes(folder_mode, file_mode))
    keys = key_in(public_key, "--public-key")
    is_proof_needed = unproven == "refuse" or (unproven is None and keys is not None)
    asked = installation.Asked(pipeline, fingerprint, keys, is_proof_needed, verify)
    plan = installation.make_plan(store, name, folder, rules, now, asked)
    if not (as_json or options.quiet):
        _tell(plan)
    if not dry_run:
        size = plan.record.size if plan.downloads else 0
        with transfer_progress(f"downloading {place}", size, quiet=options.quiet) as progress:
            installation.install(store, plan, rules, cluster, progress, now)
    if as_json:
        click.echo(report.as_json({**_as_values(plan), "dry_run": dry_run}))


def _tell(plan: InstallPlan) -> None:
    """What would be done, for people."""
    from job_creator.publishing import report

    click.echo(f"{'download to' if plan.downloads else 'leave'} {plan.path}: {plan.reason}")
    click.echo(report.proof_text(plan.proof))
    click.echo(f"links to it: {', '.join(sorted(plan.links))}")
    if plan.about_current:
        click.echo(plan.about_current)
    report.print_removals(plan.removals, console())


def _as_values(plan: InstallPlan) -> dict[str, Any]:
    """The same for programs."""
    from job_creator.publishing import report

    return {
        "path": str(plan.path),
        "action": "download" if plan.downloads else "leave",
        "reason": plan.reason,
        "proven": plan.proof.is_good,
        "links": sorted(plan.links),
        "current": plan.current.file if plan.current else None,
        "record": plan.record.to_value(),
        "removals": report.removals_as_values(plan.removals),
    }


COMMANDS = (install_sif,)
