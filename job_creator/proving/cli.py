"""`jc verify`. Imports stand in the command, so that `jc --help` answers at once."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from foundation.command_line import Command, json_option
from foundation.errors import ExitCode
from job_creator.options import ENDPOINT, Options

if TYPE_CHECKING:
    from job_creator.proving.chain import Chain
    from job_creator.proving.shelves import CacheShelf
    from job_creator.proving.verification import VerifyOptions

_PLATFORM: Final = "amd64"


@click.command(
    "verify",
    cls=Command,
    exit_codes=(
        ExitCode.INVALID_INPUT,
        ExitCode.COULD_NOT_ASK,
        ExitCode.NOT_THERE,
        ExitCode.NOT_READY,
        ExitCode.DAMAGED,
    ),
)
@click.argument("target", metavar="(SIF | IMAGE)")
@click.option("--key", "key_file", metavar="FILE", help="The site's public keys. Keys beside a file are never taken.")
@click.option("--record", metavar="FILE", help="The record of a SIF file.  [default: <SIF>.json, if it is there]")
@click.option("--cache", "caches", multiple=True, metavar="URL", help="A build cache to look for the packages in.")
@click.option("--online", is_flag=True, help="Also ask the registry for the image of a SIF file.")
@click.option("--deep", is_flag=True, help="Read the archives of packages, too.")
@click.option("--architecture", default=_PLATFORM, show_default=True, help="Which image of an index, as OCI says.")
@ENDPOINT
@click.option("--explain", is_flag=True, help="Draw all links: what was checked, what was not, and why.")
@json_option
@click.pass_obj
def verify(
    options: Options,
    /,
    target: str,
    key_file: str | None,
    record: str | None,
    caches: tuple[str, ...],
    online: bool,
    deep: bool,
    architecture: str,
    endpoint_url: str | None,
    explain: bool,
    as_json: bool,
) -> None:
    """Prove where a container comes from. Link by link, from its bytes to the site's key; nothing of it is run.

    A SIF file is proven by its signed record beside it, as on a cluster, or by the statement that it carries; no
    network is needed. With --cache its packages are looked for, and with --online its image. An image is read from its
    registry.

    It ends with 0 if everything that was checked holds and a given key signed it; with 10 if a link does not hold, and
    the first of them is named; with 8 if nothing signed was found, or no key was given.

    \b
    Examples:
      jc verify /containers/neuron/current --key site.asc
      jc verify neuron.sif --key site.asc --explain --cache s3://build-cache/amd64
      jc verify registry.example.org/group/neuron:9.0 --key site.asc --json
    """
    from job_creator.proving.chain import drawn
    from job_creator.proving.verification import VerifyOptions
    from job_creator.publishing.command_options import key_in

    asked = VerifyOptions(
        key_in(key_file, "--key"),
        Path(record) if record else None,
        _opened(caches, endpoint_url, options),
        online,
        deep,
        architecture,
    )
    chain = _verified(target, asked, options)
    if as_json:
        click.echo(json.dumps(chain.to_value(), indent=2))
    elif explain:
        click.echo("\n".join(drawn(chain)))
    if not (as_json or options.quiet):
        click.echo(chain.verdict)
    sys.exit(chain.exit_code)


def _opened(caches: tuple[str, ...], endpoint_url: str | None, options: Options) -> tuple[CacheShelf, ...]:
    from job_creator.proving.verification import open_caches

    try:
        return open_caches(caches, endpoint_url, options.environment)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--cache") from None


def _verified(target: str, asked: VerifyOptions, options: Options) -> Chain:
    """A file, if there is one of that name or it can only be one; an image otherwise."""
    from foundation.errors import NotThereError
    from job_creator.proving.verification import verify_image, verify_sif

    path = Path(target)
    if path.exists():
        return verify_sif(path, asked, options.environment)
    if target.endswith(".sif") or target.startswith(("/", ".")):
        raise NotThereError(f"{target}: there is no such file")
    try:
        return verify_image(target, asked, options.environment)
    except ValueError as error:
        raise click.BadParameter(f"{target!r} is no file, and no image: {error}", param_hint="SIF | IMAGE") from None


COMMANDS = (verify,)
