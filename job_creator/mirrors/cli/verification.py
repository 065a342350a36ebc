"""Commands of `jc mirror`: whether a mirror is whole, and whose keys it is signed with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from foundation.command_line import Command, json_option
from foundation.errors import ExitCode
from foundation.stores.schemes import REGISTRY, kind_of
from job_creator.mirrors.cli.options import EXIT_CODES, store_of
from job_creator.options import ENDPOINT, SPACK, Options

if TYPE_CHECKING:
    from foundation.openpgp.keys import Key
    from foundation.progress import StageProgress
    from foundation.spack.lockfile import Lockfile


@contextmanager
def _progress() -> Iterator[StageProgress]:
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
    exit_codes=(
        ExitCode.INVALID_INPUT,
        ExitCode.COULD_NOT_ASK,
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
@ENDPOINT
@json_option
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
    """Find whatever is missing or wrong in a mirror. In its sources and in its binaries.

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
    from foundation.openpgp.keys import whole_fingerprint
    from job_creator.mirrors.verification import report as verify_report
    from job_creator.mirrors.verification import whole_mirror

    locks = [_lockfile(path) for path in lockfiles]
    allowed = frozenset(map(whole_fingerprint, fingerprints))
    rules = whole_mirror.MirrorRules(deep, must_be_signed, allowed, jobs or whole_mirror.default_jobs())
    with _progress() as progress:
        if kind_of(mirror) is REGISTRY:
            from job_creator.mirrors.places import repository_of
            from job_creator.mirrors.verification.registry import verify_registry

            report = verify_registry(repository_of(mirror, options.environment), locks, rules, progress)
        else:
            report = whole_mirror.verify(store_of(options, mirror, endpoint_url), locks, rules, progress)
    if as_json:
        click.echo(json.dumps(report.as_value(), indent=2))
    else:
        verify_report.print_report(report)
    click.get_current_context().exit(int(report.exit_code))


def _lockfile(path: Path) -> Lockfile:
    """A lockfile, or the one in the folder of an environment."""
    from foundation.doors.files import read_file
    from foundation.errors import NotThereError
    from foundation.spack.lockfile import read_lockfile

    file = path / "spack.lock" if path.is_dir() else path
    if not file.exists():
        raise NotThereError(f"{file}: no such lockfile")
    return read_lockfile(read_file(file), str(file))


@click.command(
    "trust",
    cls=Command,
    exit_codes=EXIT_CODES,
)
@click.argument("mirror", metavar="DIR|URL")
@click.option("--fingerprint", metavar="F", help="The whole fingerprint of the key to trust, as its owner told it.")
@SPACK
@ENDPOINT
@json_option
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
    """Show a mirror's keys, and let Spack trust one. Only the one that is named is trusted.

    Ask whoever runs the mirror for the fingerprint, by another way than through the mirror. Spack's key ring is the one
    that SPACK_GNUPGHOME names, or its own.

    \b
    Examples:
      jc mirror trust https://mirror.example.org/amd64
      jc mirror trust /shared/mirror --fingerprint 9EE721CCD97E3821D94046C07D2B864358DE62A6
    """
    from foundation.openpgp.keys import whole_fingerprint
    from job_creator.mirrors.keys.spack_ring import SpackKeys
    from job_creator.mirrors.verification import trust_offers

    wanted = whole_fingerprint(fingerprint) if fingerprint else ""
    store = store_of(options, mirror, endpoint_url)
    offered = trust_offers.offers(store)
    now = store.now()
    if not as_json:
        for offer in offered:
            click.echo(_described(offer.key, now))
    if wanted:
        trust_offers.trust(offered, wanted, SpackKeys(program), now, store.url)
    if as_json:
        keys = [{**offer.key.as_value(), "trusted": offer.key.fingerprint == wanted} for offer in offered]
        click.echo(json.dumps(keys, indent=2))
    elif wanted:
        click.echo(f"Spack trusts {wanted} from now on")
    else:
        click.echo("nothing was changed; to trust a key, name it: --fingerprint and all its digits", err=True)


def _described(key: Key, now: float) -> str:
    from datetime import UTC, datetime

    from foundation.openpgp.keys import age_text

    made = f"made {datetime.fromtimestamp(key.created, UTC):%Y-%m-%d}, {age_text(now - key.created)} ago"
    until = "does not expire" if key.expires is None else f"expires {datetime.fromtimestamp(key.expires, UTC):%Y-%m-%d}"
    state = "REVOKED, " if key.is_revoked else "EXPIRED, " if key.is_over(now) else ""
    return "\n  ".join((key.fingerprint, *key.users, f"{state}{made}, {until}"))


COMMANDS: tuple[click.Command, ...] = (verify, trust)
