"""Options that the commands of publishing share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from job_creator.options import Options

if TYPE_CHECKING:
    from foundation.stores.bucket import S3Store
    from foundation.stores.s3_client import S3Location

ENDPOINT = click.option(
    "--endpoint-url",
    metavar="URL",
    help="The S3 server, if not Amazon's. [variables: AWS_ENDPOINT_URL, S3_ENDPOINT_URL]",
)
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
