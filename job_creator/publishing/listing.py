"""`jc list-sif`: what is published, and what of it is proven."""

from __future__ import annotations

import click

from foundation.command_line import Command, console, json_option
from foundation.errors import ExitCode
from job_creator.options import ENDPOINT, Options
from job_creator.publishing.command_options import PUBLIC_KEY, key_in, location, open_bucket, server


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
