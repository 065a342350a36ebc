"""Options and arguments that several commands have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypedDict

import click

from foundation.errors import ExitCode
from foundation.stores.schemes import REGISTRY, kind_of

if TYPE_CHECKING:
    from foundation.stores.store import Store
    from spackitor.commands import RunOptions
    from spackitor.inventory.inventory import Inventory

Decorated = Callable[..., None]

MIRROR: Final = (
    ExitCode.COULD_NOT_ASK,
    ExitCode.NOT_THERE,
    ExitCode.REFUSED,
    ExitCode.DAMAGED,
)
"""How commands end that cannot work on a mirror."""
FILE: Final = click.Path(path_type=Path, dir_okay=False, exists=True)
FOLDER: Final = click.Path(path_type=Path, file_okay=False, exists=True)


def mirror(command: Decorated) -> Decorated:
    """The argument MIRROR and the option for its server; the command gets a `Store`."""
    option = click.option("--endpoint-url", help="The S3 server. [variables: AWS_ENDPOINT_URL, S3_ENDPOINT_URL]")
    return click.argument("mirror")(option(command))


def mirrors(command: Decorated) -> Decorated:
    """The argument for any number of mirrors, the option for their server, and that for all of a site."""
    server = click.option("--endpoint-url", help="The S3 server. [variables: AWS_ENDPOINT_URL, S3_ENDPOINT_URL]")
    site = click.option(
        "--site",
        "site_file",
        type=FILE,
        metavar="FILE",
        help="Also all build caches of this site file, each by its own max_age_days.",
    )
    return click.argument("mirrors", nargs=-1, metavar="[MIRROR]...")(server(site(command)))


def may_be_empty(command: Decorated) -> Decorated:
    """The option for mirrors that may have nothing yet; without it, these are refused."""
    return click.option("--may-be-empty", is_flag=True, help="It is fine if there is nothing in the mirror yet.")(
        command
    )


def roots(command: Decorated) -> Decorated:
    """The options that say what is in use."""
    keep_file = click.option(
        "--keep-file",
        "keep_files",
        type=FILE,
        multiple=True,
        help="Keep what these DAG hashes need to run, one on each line. May be repeated.",
    )
    lockfile = click.option(
        "-e",
        "--environment",
        "lockfiles",
        type=FILE,
        multiple=True,
        metavar="LOCKFILE",
        help="Keep all that this spack.lock needs to run. May be repeated.",
    )
    return lockfile(keep_file(command))


def public_key(command: Decorated) -> Decorated:
    """The option for the keys whose signatures count."""
    return click.option(
        "--public-key",
        type=FILE,
        help="The keys that the mirror's users trust; a signature by any other counts for nothing.",
    )(command)


class CarefulOptions(TypedDict):
    """The values of the options that `careful` adds; times are in days, `max_delete` in percent."""

    plan_file: Path | None
    no_quarantine: bool
    grace: float
    max_delete: float
    min_age: float
    dry_run: bool


def careful(command: Decorated) -> Decorated:
    """The options of every command that removes specs."""
    for option in (
        click.option(
            "--plan",
            "plan_file",
            type=click.Path(path_type=Path, dir_okay=False),
            help="Write the plan here before anything is done, and <name>.report.json beside it after.",
        ),
        click.option("--no-quarantine", is_flag=True, help="Delete at once; nothing can be brought back."),
        click.option(
            "--grace",
            type=click.FloatRange(min=0),
            default=7.0,
            show_default=True,
            metavar="DAYS",
            help="How long what was removed can be brought back.",
        ),
        click.option(
            "--max-delete",
            type=click.FloatRange(0, 100),
            default=30.0,
            show_default=True,
            metavar="PERCENT",
            help="Refuse to remove more of the specs than this.",
        ),
        click.option(
            "--min-age",
            type=click.FloatRange(min=0),
            default=1.0,
            show_default=True,
            metavar="DAYS",
            help="Never touch what is younger, nor what it needs.",
        ),
        click.option("--dry-run", is_flag=True, help="Only say what would be done, and why."),
    ):
        command = option(command)
    return command


def options_of(values: CarefulOptions) -> RunOptions:
    """The values of the options of `careful`."""
    from spackitor.commands import RunOptions

    return RunOptions(
        values["min_age"],
        values["max_delete"],
        values["grace"],
        not values["no_quarantine"],
        values["dry_run"],
        values["plan_file"],
    )


def store_of(context: click.Context, url: str, endpoint: str | None) -> Store:
    """The store of a mirror, for the environment that the main command was given. Raises `click.BadParameter`."""
    from foundation.stores.opening import open_store

    try:
        return open_registry(url, context.obj) if kind_of(url) is REGISTRY else open_store(url, endpoint, context.obj)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="MIRROR") from None


def open_registry(url: str, environment: Mapping[str, str]) -> Store:
    """The store of a build cache in a registry, with the user's login there. Raises `ValueError`."""
    from foundation.registries.changes import ChangeableRepository
    from foundation.registries.logins import logins
    from foundation.registries.mirror_store import RegistryStore

    return RegistryStore(ChangeableRepository(url, logins(environment)))


def inventory_of(context: click.Context, url: str, endpoint: str | None, *, may_be_empty: bool) -> Inventory:
    """What is in a mirror. Raises `click.BadParameter`, and what surveys raise."""
    from spackitor.survey.survey import survey

    return survey(store_of(context, url, endpoint), may_be_empty=may_be_empty).inventory
