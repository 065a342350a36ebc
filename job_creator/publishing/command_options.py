"""Options that the commands of publishing share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from job_creator.options import Options

if TYPE_CHECKING:
    from foundation.stores.bucket import S3Store
    from foundation.stores.s3_client import S3Location
    from job_creator.publishing.proofs import SitesKeys
    from job_creator.publishing.record import PublicationRecord
    from job_creator.site.places import Retention

SOURCE_KEY_ID: Final = "SOURCE_AWS_ACCESS_KEY_ID"
SOURCE_SECRET: Final = "SOURCE_AWS_SECRET_ACCESS_KEY"
"""The variables with the keys of a place that is only read."""

FILE: Final = click.Path(path_type=Path, dir_okay=False, exists=True)
RECORD = click.option("--record", "record_file", type=FILE, required=True, help="What is known of the file, as JSON.")
TO = click.option("--to", "target", required=True, metavar="S3_URL", help="Where it goes: s3://bucket/prefix.")
DRY_RUN = click.option("--dry-run", is_flag=True, help="Only print what would be done.")
KEEP_DAYS = click.option(
    "--keep-days",
    type=click.IntRange(min=0),
    default=30,
    show_default=True,
    metavar="DAYS",
    help="In a folder, keep a file so long after its last link went: a job may run from it.",
)

PUBLIC_KEY = click.option(
    "--public-key", metavar="FILE", help="The site's public keys, which prove what is published by signature."
)


def key_in(given: str | None, option: str) -> bytes | None:
    """The key in the file that an option names, if it names one.

    Raises `RefusedError` where the variable behind it is empty: the job would go on without a key. And
    `FileAccessError`.
    """
    from foundation.doors.files import read_file
    from foundation.errors import RefusedError

    if given is None:
        return None
    if not given:
        raise RefusedError(f"{option}: no key is set for this job; make the CI variable, of the type 'File'")
    return read_file(Path(given))


def server(options: Options, given: str | None) -> str | None:
    """The S3 server that is meant."""
    from foundation.stores.s3_client import endpoint_of

    return given or endpoint_of(options.environment)


def location(url: str) -> S3Location:
    """Bucket and key of an S3 URL. Raises `BadParameter`."""
    from foundation.stores.s3_client import parse_s3_url

    try:
        return parse_s3_url(url)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def open_bucket(place: S3Location, endpoint: str | None) -> S3Store:
    """What is below a prefix of a bucket. Raises `CouldNotAskError`."""
    from foundation.stores.bucket import S3Store

    return S3Store(place, endpoint)


def open_elsewhere(source: str, own: S3Store, environment: Mapping[str, str], endpoint: str | None) -> S3Store | None:
    """The place in which a file is published that this run may only read; `None` for a file, or one of the own place.

    It is read with keys of its own where there are any. Raises `CouldNotAskError`, and `BadParameter` for a URL that
    names no file.
    """
    from foundation.stores.bucket import S3Store
    from foundation.stores.s3_client import S3Keys, S3Location, endpoint_of
    from foundation.stores.schemes import BUCKET, kind_of
    from job_creator.publishing.publication import UPLOADS

    if kind_of(source) is not BUCKET:
        return None
    place = location(source)
    prefix, _, name = place.key.rpartition("/")
    if not name:
        raise click.BadParameter("names no file; write s3://bucket/prefix/<file>.sif", param_hint="S3_URL")
    there = S3Location(place.bucket, prefix)
    if str(there) in (own.url, f"{own.url}/{UPLOADS}"):
        return None
    pair = [environment.get(name, "") for name in (SOURCE_KEY_ID, SOURCE_SECRET)]
    return S3Store(there, endpoint or endpoint_of(environment), keys=S3Keys(*pair) if all(pair) else None)


def recorded(path: Path, image_digest: str | None) -> PublicationRecord:
    """The record in a file, for an image of this digest.

    Raises `InvalidInputError` and `FileAccessError`.
    """
    from foundation.doors.files import read_file
    from job_creator.publishing.record import PublicationRecord

    record = PublicationRecord.from_json(read_file(path), str(path))
    if image_digest is None:
        return record
    # Through JSON, so that the digest is validated like everything else.
    return PublicationRecord.from_json(replace(record, image_digest=image_digest).to_json(), "--image-digest")


def signer_of(private_key: str | None, public_key: str | None) -> SitesKeys | None:
    """The key pair that two options name, if they name one. Raises `RefusedError`, `UsageError`, `FileAccessError`."""
    from job_creator.publishing.proofs import SitesKeys

    private, public = key_in(private_key, "--private-key"), key_in(public_key, "--public-key")
    if private is None:
        return None
    if public is None:
        raise click.UsageError("--private-key wants --public-key: what is signed is verified at once")
    return SitesKeys(private, public)


def retention_of(keep: int | None, older_than: int | None) -> Retention | None:
    """Which old versions go, if any. Raises `UsageError`."""
    from job_creator.site.places import Retention

    if keep is None and older_than is None:
        return None
    if keep is None or older_than is None:
        raise click.UsageError("old versions go by both --keep and --older-than, or not at all")
    return Retention(keep=keep, older_than_days=older_than)
