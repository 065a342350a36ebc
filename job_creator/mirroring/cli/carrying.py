"""Commands of `jc mirror`: taking a mirror to a site without internet."""

from __future__ import annotations

import click

COMMANDS: tuple[click.Command, ...] = ()
