"""What all commands of `jc` are told, and options that several of them have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click


@dataclass(frozen=True)
class Options:
    """What holds for all commands."""

    directory: Path
    """The repository."""
    site_file: str
    quiet: bool
    """Whether only errors are printed."""
    environment: Mapping[str, str]
    """The process's environment variables."""


OFFLINE: Final = click.option(
    "--offline", is_flag=True, help="Ask no registry and no git server; plan as if nothing were published."
)
