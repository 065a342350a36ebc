"""Commands of `jc mirror`: whether a mirror is whole, and whose keys it is signed with."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from job_creator.build_cache.layout_oci import is_oci_url
from job_creator.command_line import Command, Group, exit_codes
from job_creator.errors import ExitCode
from job_creator.options import Options

if TYPE_CHECKING:
    from job_creator.lockfile import Lockfile
    from job_creator.mirrors.keys import Key
    from job_creator.store import Store

_ENDPOINT = click.option(
    "--endpoint-url",
    metavar="URL",
    help="The S3 server, if not Amazon's. [variables: AWS_ENDPOINT_URL, S3_ENDPOINT_URL]",
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
_SPACK = click.option("--spack", "program", default="spack", show_default=True, metavar="PROGRAM", help="Which Spack.")
_FINGERPRINT = click.option(
    "--fingerprint", metavar="F", help="All 40 digits of the key's fingerprint, if there are several keys."
)


def _store(options: Options, mirror: str, endpoint: str | None) -> Store:
    from job_creator.adapters.stores import open_store

    try:
        return open_store(mirror, endpoint, options.environment)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="MIRROR") from None


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """A bar on a terminal; nothing elsewhere, because the result says how much was read."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    errors = Console(stderr=True)
    if not errors.is_terminal:
        yield lambda *_: None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=errors, transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda what, done, total: bar.update(task, description=what, completed=done, total=total)


@click.command(
    "verify",
    cls=Command,
    epilog=exit_codes(
        ExitCode.INVALID_INPUT,
        ExitCode.COULD_NOT_ASK,
        ExitCode.CANNOT_ACCESS_FILE,
        ExitCode.NOT_THERE,
        ExitCode.NOT_READY,
        ExitCode.REFUSED,
        ExitCode.DAMAGED,
    ),
)
@click.argument("mirror", metavar="DIR|URL")
@click.option("--deep", is_flag=True, help="Read all content and compare its checksums.")
@click.option(
    "-e",
    "--environment",
    "lockfiles",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="LOCKFILE",
    help="All that this spack.lock needs must be there, as a binary or as sources. May be repeated.",
)
@click.option("--signed", "must_be_signed", is_flag=True, help="Every binary must be signed.")
@click.option(
    "--fingerprint",
    "fingerprints",
    multiple=True,
    metavar="F",
    help="Only signatures of the key with this whole fingerprint count. May be repeated.",
)
@click.option("-j", "--jobs", type=click.IntRange(min=1), help="How much is read at once. [default: by the machine]")
@_ENDPOINT
@_JSON
@click.pass_obj
def verify(
    options: Options,
    /,
    mirror: str,
    deep: bool,
    lockfiles: tuple[Path, ...],
    must_be_signed: bool,
    fingerprints: tuple[str, ...],
    jobs: int | None,
    endpoint_url: str | None,
    as_json: bool,
) -> None:
    """Find whatever is missing or wrong in a mirror, in its sources and in its binaries.

    Names, sizes, manifests, signatures, the index and what the mirror was filled for are always looked at; with --deep
    every byte is. Exit code 8 says that something is missing, 10 that something is there and wrong.

    Of a registry (oci://), that is tags, manifests, the existence and size of all blobs, specs and the index, and with
    --deep the content of archives. Nothing is signed there, so nothing shows who put it there.

    \b
    Examples:
      jc mirror verify /shared/mirror
      jc mirror verify /shared/mirror --deep -e spack.lock
      jc mirror verify s3://mirror/amd64 --signed --fingerprint 9EE721CCD97E3821D94046C07D2B864358DE62A6
      jc mirror verify https://mirror.example.org/amd64 --json
      jc mirror verify oci://registry.example.org/cache --deep -e spack.lock
    """
    from job_creator.mirroring import verify_report, verifying
    from job_creator.mirrors.keys import whole_fingerprint

    locks = [_lockfile(path) for path in lockfiles]
    allowed = frozenset(map(whole_fingerprint, fingerprints))
    rules = verifying.Rules(deep, must_be_signed, allowed, jobs or verifying.default_jobs())
    with _progress() as progress:
        if is_oci_url(mirror):
            from job_creator.mirroring.planning import registry_place
            from job_creator.mirroring.verifying_registry import verify_registry

            report = verify_registry(registry_place(mirror, options.environment).repository, locks, rules, progress)
        else:
            report = verifying.verify(_store(options, mirror, endpoint_url), locks, rules, progress)
    if as_json:
        click.echo(json.dumps(report.as_value(), indent=2))
    else:
        verify_report.print_report(report)
    click.get_current_context().exit(int(report.exit_code))


def _lockfile(path: Path) -> Lockfile:
    """A lockfile, or the one in the folder of an environment."""
    from job_creator.adapters.files import read_file
    from job_creator.errors import NotThereError
    from job_creator.lockfile import read_lockfile

    file = path / "spack.lock" if path.is_dir() else path
    if not file.exists():
        raise NotThereError(f"{file}: no such lockfile")
    return read_lockfile(read_file(file), str(file))


@click.command(
    "trust",
    cls=Command,
    epilog=exit_codes(ExitCode.COULD_NOT_ASK, ExitCode.NOT_THERE, ExitCode.REFUSED, ExitCode.DAMAGED),
)
@click.argument("mirror", metavar="DIR|URL")
@click.option("--fingerprint", metavar="F", help="The whole fingerprint of the key to trust, as its owner told it.")
@_SPACK
@_ENDPOINT
@_JSON
@click.pass_obj
def trust(
    options: Options,
    /,
    mirror: str,
    fingerprint: str | None,
    program: str,
    endpoint_url: str | None,
    as_json: bool,
) -> None:
    """Show the keys that a mirror is signed with, and let Spack trust the one that is named.

    Ask whoever runs the mirror for the fingerprint, by another way than through the mirror. Spack's key ring is the one
    that SPACK_GNUPGHOME names, or its own.

    \b
    Examples:
      jc mirror trust https://mirror.example.org/amd64
      jc mirror trust /shared/mirror --fingerprint 9EE721CCD97E3821D94046C07D2B864358DE62A6
    """
    from job_creator.mirroring import trusting
    from job_creator.mirroring.spack_keys import SpackKeys
    from job_creator.mirrors.keys import whole_fingerprint

    wanted = whole_fingerprint(fingerprint) if fingerprint else ""
    store = _store(options, mirror, endpoint_url)
    offered = trusting.offers(store)
    now = store.now()
    if not as_json:
        for offer in offered:
            click.echo(_described(offer.key, now))
    if wanted:
        trusting.trust(offered, wanted, SpackKeys(program), now, store.url)
    if as_json:
        keys = [{**offer.key.as_value(), "trusted": offer.key.fingerprint == wanted} for offer in offered]
        click.echo(json.dumps(keys, indent=2))
    elif wanted:
        click.echo(f"Spack trusts {wanted} from now on")
    else:
        click.echo("nothing was changed; to trust a key, name it: --fingerprint and all its digits", err=True)


def _described(key: Key, now: float) -> str:
    from datetime import UTC, datetime

    from job_creator.mirrors.keys import age_text

    made = f"made {datetime.fromtimestamp(key.created, UTC):%Y-%m-%d}, {age_text(now - key.created)} ago"
    until = "does not expire" if key.expires is None else f"expires {datetime.fromtimestamp(key.expires, UTC):%Y-%m-%d}"
    state = "REVOKED, " if key.is_revoked else "EXPIRED, " if key.is_over(now) else ""
    return "\n  ".join((key.fingerprint, *key.users, f"{state}{made}, {until}"))


@click.group("keys", cls=Group)
def keys() -> None:
    """The key that a build cache is signed with: make it, back it up, publish its public half.

    \b
    Examples:
      jc mirror keys create 'Our build cache' spack@example.org --backup ~/cache-key.asc
      jc mirror keys publish /shared/mirror
    """


@keys.command(
    "create",
    cls=Command,
    epilog=exit_codes(
        ExitCode.COULD_NOT_ASK, ExitCode.CANNOT_ACCESS_FILE, ExitCode.NOT_THERE, ExitCode.REFUSED, ExitCode.DAMAGED
    ),
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
@_SPACK
@click.pass_obj
def create(options: Options, /, name: str, email: str, backup: Path, comment: str, expires: str, program: str) -> None:
    """Make a key to sign binaries with, in Spack's key ring, and a backup of its private half.

    Keep the backup where only you can read it, and not only on this machine: without it, a new key has to be made and
    trusted everywhere as soon as this key ring is lost. Whoever has it can sign in your name.

    \b
    Example:
      jc mirror keys create 'Our build cache' spack@example.org --backup ~/cache-key.asc --expires 2y
    """
    from job_creator.mirroring.spack_keys import SpackKeys

    del options
    spack = SpackKeys(program)
    key = spack.create(name, email, backup, comment=comment, expires=expires)
    click.echo(key.fingerprint)
    click.echo(f"{backup}: the private half of {key}; keep it safe, keep it secret, never put it in a mirror", err=True)
    if len(spack.signing()) > 1:
        click.echo("there is more than one signing key now: 'spack ci' signs with none, others want --key", err=True)


@keys.command(
    "backup",
    cls=Command,
    epilog=exit_codes(
        ExitCode.COULD_NOT_ASK, ExitCode.CANNOT_ACCESS_FILE, ExitCode.NOT_THERE, ExitCode.REFUSED, ExitCode.DAMAGED
    ),
)
@click.argument("file", type=click.Path(path_type=Path))
@_FINGERPRINT
@_SPACK
@click.pass_obj
def backup(options: Options, /, file: Path, fingerprint: str | None, program: str) -> None:
    """Write the private halves of Spack's signing keys into a file that only you can read.

    'spack gpg trust FILE' brings them back.

    \b
    Example:
      jc mirror keys backup ~/cache-key.asc
    """
    from job_creator.mirroring.spack_keys import SpackKeys
    from job_creator.mirrors.keys import whole_fingerprint

    del options
    for key in SpackKeys(program).back_up(file, whole_fingerprint(fingerprint) if fingerprint else None):
        click.echo(f"{file}: the private half of {key}; keep it safe, keep it secret, never put it in a mirror")


@keys.command(
    "publish",
    cls=Command,
    epilog=exit_codes(ExitCode.COULD_NOT_ASK, ExitCode.NOT_THERE, ExitCode.REFUSED, ExitCode.DAMAGED),
)
@click.argument("mirror", metavar="DIR|URL")
@_FINGERPRINT
@_SPACK
@_ENDPOINT
@click.pass_obj
def publish(options: Options, /, mirror: str, fingerprint: str | None, program: str, endpoint_url: str | None) -> None:
    """Put the public half of the signing key into a mirror, where Spack and 'jc mirror trust' look for it.

    \b
    Examples:
      jc mirror keys publish /shared/mirror
      jc mirror keys publish s3://mirror/amd64 --fingerprint 9EE721CCD97E3821D94046C07D2B864358DE62A6
    """
    from job_creator.mirroring import trusting
    from job_creator.mirroring.spack_keys import SpackKeys
    from job_creator.mirrors.keys import whole_fingerprint

    store = _store(options, mirror, endpoint_url)
    variables = {"AWS_ENDPOINT_URL": endpoint_url, "S3_ENDPOINT_URL": endpoint_url} if endpoint_url else {}
    url = store.url if "://" in store.url else f"file://{store.url}"
    spack = SpackKeys(program, variables)
    key = spack.publish(url, whole_fingerprint(fingerprint) if fingerprint else None)
    trusting.require_offer(store, key)
    click.echo(key.fingerprint)
    click.echo(f"tell those who use {store.url}: jc mirror trust {store.url} --fingerprint {key.fingerprint}", err=True)


COMMANDS: tuple[click.Command, ...] = (verify, trust, keys)
