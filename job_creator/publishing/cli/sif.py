"""From a SIF file that was just made to a published one: the commands that the jobs of containers call.

Imports stand in the commands, so that `jc --help` answers at once.
"""

from __future__ import annotations

from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from foundation.command_line import Command, console, json_option
from foundation.errors import ExitCode
from job_creator.options import ENDPOINT, Options
from job_creator.publishing.command_options import (
    DRY_RUN,
    FILE,
    PUBLIC_KEY,
    RECORD,
    TO,
    key_in,
    location,
    open_bucket,
    open_elsewhere,
    recorded,
    retention_of,
    server,
    signer_of,
)

if TYPE_CHECKING:
    from job_creator.proving.embedding import InsideSigner
    from job_creator.publishing.proofs import SitesKeys
    from job_creator.publishing.publication import PublishPlan
    from job_creator.publishing.record import PublicationRecord
    from job_creator.publishing.sources import SifSource


@click.command("settle-sif", cls=Command, exit_codes=(ExitCode.INVALID_INPUT, ExitCode.DAMAGED))
@click.argument("file", type=FILE)
def settle_sif(file: Path) -> None:
    """Make a SIF file's headers those of all. Identifier, times and user go, in place, before it is signed.

    Nothing else differs between two files that were made of one image with SOURCE_DATE_EPOCH set.

    \b
    Example:
      jc settle-sif neuron.sif
    """
    from foundation.doors import blocks
    from foundation.errors import DamagedError
    from job_creator.containers.settled_sif import changes
    from job_creator.site.tools import SOURCE_DATE_EPOCH

    def read(start: int, size: int) -> bytes:
        return b"".join(blocks.read(file, start, size))

    try:
        found = changes(read, file.stat().st_size, SOURCE_DATE_EPOCH)
    except DamagedError as error:
        raise DamagedError(f"{file}: {error}") from None
    blocks.overwrite(file, found)


@click.command(
    "stage-sif",
    cls=Command,
    exit_codes=(ExitCode.INVALID_INPUT, ExitCode.COULD_NOT_ASK, ExitCode.NOT_READY, ExitCode.DAMAGED),
)
@click.argument("file", type=FILE)
@RECORD
@TO
@ENDPOINT
@click.option("--dotenv", type=click.Path(path_type=Path, dir_okay=False), required=True, help="What to write.")
@click.pass_obj
def stage_sif(
    options: Options, /, file: Path, record_file: Path, target: str, endpoint_url: str | None, dotenv: Path
) -> None:
    """Leave a SIF file for the job that signs it. Nobody takes it for published.

    Where it is, and the sha256 that it has to have there, goes into a dotenv file, as STAGED_SIF and STAGED_SHA256:
    `jc publish-sif` signs it, and gives it its name. What nobody publishes goes with a publication a day later.

    \b
    Example:
      jc stage-sif neuron.sif --record neuron.json --to s3://containers/sif --dotenv sif.env
    """
    from foundation.doors.files import write_files
    from foundation.progress import transfer_progress
    from job_creator.publishing.publication import stage
    from job_creator.publishing.sif_file import require_sif_file

    require_sif_file(file)
    record = recorded(record_file, None)
    store = open_bucket(location(target), server(options, endpoint_url))
    with transfer_progress(f"uploading {file}", file.stat().st_size, quiet=options.quiet) as progress:
        key, digest = stage(store, record, file, progress)
    write_files(dotenv.parent, {dotenv.name: f"STAGED_SIF={store.url}/{key}\nSTAGED_SHA256={digest}\n".encode()})


@click.command(
    "publish-sif",
    cls=Command,
    exit_codes=(
        ExitCode.INVALID_INPUT,
        ExitCode.COULD_NOT_ASK,
        ExitCode.NOT_THERE,
        ExitCode.NOT_READY,
        ExitCode.REFUSED,
        ExitCode.DAMAGED,
    ),
)
@click.argument("file", metavar="(FILE | S3_URL)")
@RECORD
@TO
@ENDPOINT
@click.option(
    "--source-endpoint-url", metavar="URL", help="The S3 server of a file in another place, if it is another."
)
@click.option("--image-digest", metavar="SHA256", help="Of the image that it was made from: sha256:<64 hex digits>.")
@click.option("--image", metavar="REPOSITORY", help="Where that image is: the file then carries its manifest.")
@click.option(
    "--mirrors",
    "mirrors_file",
    type=FILE,
    help="Spack's configuration of mirrors: the file then carries what the build caches say of its packages.",
)
@click.option("--private-key", metavar="FILE", help="Sign the file and its record with this key; wants --public-key.")
@PUBLIC_KEY
@click.option(
    "--sif-signature/--no-sif-signature",
    default=True,
    help="With a key: also put where it is from into the SIF file, and sign that.",
)
@click.option("--sha256", metavar="DIGITS", help="That a file has to have which `jc stage-sif` left.")
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
    file: str,
    record_file: Path,
    target: str,
    endpoint_url: str | None,
    source_endpoint_url: str | None,
    image_digest: str | None,
    image: str | None,
    mirrors_file: Path | None,
    private_key: str | None,
    public_key: str | None,
    sif_signature: bool,
    sha256: str | None,
    keep: int | None,
    older_than: int | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Upload a SIF file and verify it. It gets its name last; nothing is uploaded if it is published already.

    It goes to a temporary key first, so that this can be interrupted anywhere and run again. Old versions of the same
    container, architecture and ref go if both --keep and --older-than allow it.

    The URL of a file that is published for another branch is copied by the server, if it was made from the same. One in
    another place is fetched, with the keys in SOURCE_AWS_ACCESS_KEY_ID and SOURCE_AWS_SECRET_ACCESS_KEY if those are
    set.

    With a key, the file and its record are signed, and what is published counts only if its signature is good. So that
    no foreign code is where the key is, one job makes the file and leaves it with `jc stage-sif`; another one signs it.

    \b
    Examples:
      jc publish-sif neuron.sif --record neuron.json --to s3://containers/sif
      jc publish-sif neuron.sif --record neuron.json --to s3://containers/sif --keep 3 --older-than 30 --dry-run
      jc publish-sif s3://releases/sif/neuron__9.0.sif --record neuron.json --to s3://containers/sif
    """
    from job_creator.publishing import publication, report
    from job_creator.publishing.sources import SifSource

    record = recorded(record_file, image_digest)
    store = open_bucket(location(target), server(options, endpoint_url))
    source = SifSource(file, store, sha256 or "", open_elsewhere(file, store, options.environment, source_endpoint_url))
    source.require()
    signer = signer_of(private_key, public_key)
    plan = publication.make_plan(store, record, retention_of(keep, older_than), datetime.now(UTC), signer)
    if not (as_json or options.quiet):
        click.echo(f"{'upload to' if plan.uploads else 'leave'} {plan.place}: {plan.reason}")
        report.print_removals(plan.removals, console())
    published = plan.record
    if not dry_run:
        keys = key_in(public_key, "--public-key")
        inside = _inside(signer, image, mirrors_file, options) if signer and sif_signature else None
        published = _publish(options, source, plan, keys, inside, signer)
    if as_json:
        values = {
            "place": plan.place,
            "action": "upload" if plan.uploads else "leave",
            "reason": plan.reason,
            "record": published.to_value(),
        }
        click.echo(report.as_json({**values, "removals": report.removals_as_values(plan.removals), "dry_run": dry_run}))


def _publish(
    options: Options,
    source: SifSource,
    plan: PublishPlan,
    keys: bytes | None,
    inside: InsideSigner | None,
    signer: SitesKeys | None,
) -> PublicationRecord:
    """Do what was planned; the one signs the file itself, the other its record, where that is wanted."""
    from foundation.progress import transfer_progress
    from job_creator.publishing import publication
    from job_creator.sbom.documents import documents_in

    copied = source.published(keys)
    if copied and not source.elsewhere:
        return publication.publish_copy(source.store, plan, copied, datetime.now(UTC), signer)
    if copied:
        publication.same_record(source.given, plan, copied)
    with ExitStack() as stack:
        path, size = Path(source.given), 0
        if plan.uploads:
            path = stack.enter_context(source.fetched(copied) if copied else source.local())
            if inside and not copied:
                inside.sign(path, plan.record)
            size = path.stat().st_size
        progress = stack.enter_context(transfer_progress(f"uploading {source.given}", size, quiet=options.quiet))
        bills = documents_in(path) if plan.uploads else {}
        record = publication.publish(source.store, plan, path, progress, datetime.now(UTC), signer, bills)
    source.forget()
    return record


def _inside(signer: SitesKeys, image: str | None, mirrors_file: Path | None, options: Options) -> InsideSigner:
    from job_creator.proving.embedding import InsideSigner
    from job_creator.proving.shelves import shelves_in

    project_url = options.environment.get("CI_PROJECT_URL", "")
    shelves = shelves_in(mirrors_file, options.environment) if mirrors_file else ()
    if not image:
        return InsideSigner(signer, project_url, shelves=shelves)
    from foundation.registries.images import RegistryClient
    from job_creator.inputs import read_site_file
    from job_creator.pipelines.images import logins

    site = read_site_file(options.directory, options.site_file)
    return InsideSigner(signer, project_url, image, RegistryClient(logins(site, options.environment)), shelves)
