"""`jc mirror keys`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from foundation.command_line import Command, Group, json_option
from job_creator.mirrors.cli.options import EXIT_CODES, store_of
from job_creator.options import ENDPOINT, SPACK, Options

_FINGERPRINT = click.option(
    "--fingerprint", metavar="F", help="All 40 digits of the key's fingerprint, if there are several keys."
)


@click.group("keys", cls=Group, exit_codes=())
def keys() -> None:
    """The key that a build cache is signed with. Make it, back it up, publish its public half.

    \b
    Examples:
      jc mirror keys create 'Our build cache' spack@example.org --backup ~/cache-key.asc
      jc mirror keys publish /shared/mirror
    """


@keys.command(
    "create",
    cls=Command,
    exit_codes=EXIT_CODES,
)
@click.argument("name")
@click.argument("email")
@click.option(
    "--backup", type=click.Path(path_type=Path), required=True, metavar="FILE", help="Where the private half goes."
)
@click.option("--comment", default="signs a Spack build cache", show_default=True, help="What the key is for.")
@click.option(
    "--expires", default="0", show_default=True, metavar="WHEN", help="After 2y, 6m or on 2030-01-31; 0 is never."
)
@SPACK
@json_option
@click.pass_obj
def create(
    options: Options,
    /,
    name: str,
    email: str,
    backup: Path,
    comment: str,
    expires: str,
    program: str,
    as_json: bool,
) -> None:
    """Make a key to sign binaries with. It is in Spack's key ring, with a backup of its private half.

    Keep the backup where only you can read it, and not only on this machine: without it, a new key has to be made and
    trusted everywhere as soon as this key ring is lost. Whoever has it can sign in your name.

    \b
    Example:
      jc mirror keys create 'Our build cache' spack@example.org --backup ~/cache-key.asc --expires 2y
    """
    from job_creator.mirrors.keys.spack_ring import SpackKeys

    del options
    spack = SpackKeys(program)
    key = spack.create(name, email, backup, comment=comment, expires=expires)
    click.echo(json.dumps({**key.as_value(), "backup": str(backup)}, indent=2) if as_json else key.fingerprint)
    click.echo(f"{backup}: the private half of {key}; keep it safe, keep it secret, never put it in a mirror", err=True)
    if len(spack.signing()) > 1:
        click.echo("there is more than one signing key now: 'spack ci' signs with none, others want --key", err=True)


@keys.command(
    "backup",
    cls=Command,
    exit_codes=EXIT_CODES,
)
@click.argument("file", type=click.Path(path_type=Path))
@_FINGERPRINT
@SPACK
@json_option
@click.pass_obj
def backup(options: Options, /, file: Path, fingerprint: str | None, program: str, as_json: bool) -> None:
    """Write Spack's private keys into a file. Only you can read it; the keys are those that sign.

    'spack gpg trust FILE' brings them back.

    \b
    Example:
      jc mirror keys backup ~/cache-key.asc
    """
    from foundation.openpgp.keys import whole_fingerprint
    from job_creator.mirrors.keys.spack_ring import SpackKeys

    del options
    backed_up = SpackKeys(program).back_up(file, whole_fingerprint(fingerprint) if fingerprint else None)
    if as_json:
        click.echo(json.dumps({"backup": str(file), "keys": [key.as_value() for key in backed_up]}, indent=2))
        return
    for key in backed_up:
        click.echo(f"{file}: the private half of {key}; keep it safe, keep it secret, never put it in a mirror")


@keys.command(
    "renew",
    cls=Command,
    exit_codes=EXIT_CODES,
)
@click.option("--expires", required=True, metavar="WHEN", help="After 2y, 6m or on 2030-01-31; 0 is never.")
@_FINGERPRINT
@SPACK
@json_option
@click.pass_obj
def renew(options: Options, /, expires: str, fingerprint: str | None, program: str, as_json: bool) -> None:
    """Let a key count for longer. Also one that has expired: what it has signed is good again.

    Publish it again, and make a new backup: who trusted the key takes its new date from the mirror.

    \b
    Example:
      jc mirror keys renew --expires 2y
    """
    from foundation.openpgp.keys import whole_fingerprint
    from job_creator.mirrors.keys.spack_ring import SpackKeys

    del options
    key = SpackKeys(program).renew(whole_fingerprint(fingerprint) if fingerprint else None, expires)
    click.echo(json.dumps(key.as_value(), indent=2) if as_json else key.fingerprint)
    click.echo(
        f"now publish it: jc mirror keys publish MIRROR --fingerprint {key.fingerprint}; users trust it once more",
        err=True,
    )


@keys.command(
    "publish",
    cls=Command,
    exit_codes=EXIT_CODES,
)
@click.argument("mirror", metavar="DIR|URL")
@_FINGERPRINT
@SPACK
@ENDPOINT
@click.option("--group", metavar="NAME", help="The group that shares the mirror, if it is a folder.")
@json_option
@click.pass_obj
def publish(
    options: Options,
    /,
    mirror: str,
    fingerprint: str | None,
    program: str,
    endpoint_url: str | None,
    group: str | None,
    as_json: bool,
) -> None:
    """Put the public half into a mirror. Spack and 'jc mirror trust' look for it there.

    \b
    Examples:
      jc mirror keys publish /shared/mirror
      jc mirror keys publish s3://mirror/amd64 --fingerprint 9EE721CCD97E3821D94046C07D2B864358DE62A6
    """
    from foundation.errors import RefusedError
    from foundation.openpgp.keys import whole_fingerprint
    from foundation.spack.program import SpackProgram
    from foundation.stores.folder import FileSystemStore
    from foundation.stores.opening import url_of
    from job_creator.mirrors.filling.pushes import require_s3
    from job_creator.mirrors.keys.spack_ring import SpackKeys
    from job_creator.mirrors.permissions import permissions_of
    from job_creator.mirrors.sharing import adopt, entries, share
    from job_creator.mirrors.verification import trust_offers

    store = store_of(options, mirror, endpoint_url)
    variables = {"AWS_ENDPOINT_URL": endpoint_url, "S3_ENDPOINT_URL": endpoint_url} if endpoint_url else {}
    require_s3(SpackProgram(program), mirror)
    spack = SpackKeys(program, variables)
    root = Path(store.url) if isinstance(store, FileSystemStore) else None
    if group and not root:
        raise RefusedError("--group: only folders have groups; leave it out")
    permissions = permissions_of(group)
    before = frozenset(entries(root)) if root else frozenset()
    key = spack.publish(url_of(store.url), whole_fingerprint(fingerprint) if fingerprint else None)
    if root:
        adopt(root, before, permissions)
        share(root, permissions)
    trust_offers.require_offer(store, key)
    click.echo(json.dumps({**key.as_value(), "mirror": store.url}, indent=2) if as_json else key.fingerprint)
    click.echo(f"tell those who use {store.url}: jc mirror trust {store.url} --fingerprint {key.fingerprint}", err=True)
