"""Commands of `jc mirror`: what a mirror needs, and filling it."""

from __future__ import annotations

import click

COMMANDS: tuple[click.Command, ...] = ()
