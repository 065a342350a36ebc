"""Commands of `jc mirror`: whether a mirror is whole, and whose keys it is signed with."""

from __future__ import annotations

import click

COMMANDS: tuple[click.Command, ...] = ()
