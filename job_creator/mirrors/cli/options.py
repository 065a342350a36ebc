"""Options that several commands of `jc mirror` have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from foundation.errors import ExitCode
from job_creator.options import Options

if TYPE_CHECKING:
    from foundation.stores.store import Store

EXIT_CODES: Final = (
    ExitCode.COULD_NOT_ASK,
    ExitCode.NOT_THERE,
    ExitCode.NOT_READY,
    ExitCode.REFUSED,
    ExitCode.DAMAGED,
)
"""Of a command that looks at a mirror, and asks servers, gpg or Spack for it."""


def store_of(options: Options, mirror: str, endpoint: str | None) -> Store:
    """The store of a mirror, for the environment that the command was given."""
    from foundation.stores.opening import open_store

    try:
        return open_store(mirror, endpoint, options.environment)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="MIRROR") from None
