"""Sections that the configured line of Spack does not know, and those that cannot work in all places."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from foundation.errors import Fault
from foundation.spack.sections.section import Rule
from foundation.spack.sections.table import SECTIONS
from job_creator.checks.environment_file import EnvironmentFile
from job_creator.environments.marks import unmarked

_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
"""What shells take for the name of a variable (POSIX, "Name")."""


def refused_sections(file: EnvironmentFile) -> Iterator[Fault]:
    """Each section that would only work in some of the places where its environment is used."""
    for key, value in file.section.items():
        row = SECTIONS.get(unmarked(key))
        if row and row.rule is Rule.REFUSED and value:
            yield file.fault((key,), f"{row.name!r} cannot be used: {row.why}", row.instead, of_key=True)


def module_faults(file: EnvironmentFile) -> Iterator[Fault]:
    """Module files that would be written where no image has them."""
    for key, sets in file.section.items():
        if unmarked(key) != "modules" or not isinstance(sets, Mapping):
            continue
        for name, options in sets.items():
            for option, kinds in options.items() if isinstance(options, Mapping) else ():
                if unmarked(str(option)) == "enable" and kinds:
                    message = "module files are written into Spack's own folder, which is not in the image"
                    hint = "remove 'enable'; the programs of a view are found without modules"
                    yield file.fault((key, name, option), message, hint, of_key=True)


def variable_faults(file: EnvironmentFile) -> Iterator[Fault]:
    """Names that no shell takes for variables, so that activating the environment would do something else."""
    for key, changes in file.section.items():
        if unmarked(key) != "env_vars" or not isinstance(changes, Mapping):
            continue
        for kind, names in changes.items():
            for index, name in enumerate(names if isinstance(names, list | Mapping) else ()):
                if isinstance(name, str) and not _VARIABLE.fullmatch(name):
                    of_key = isinstance(names, Mapping)
                    message = f"{name!r} cannot be the name of a variable"
                    hint = "write letters, digits and '_', beginning with a letter"
                    yield file.fault((key, kind, name if of_key else index), message, hint, of_key=of_key)


def permission_faults(file: EnvironmentFile) -> Iterator[Fault]:
    """Groups that packages would have to belong to: who builds them is in none but its own."""
    for location, _, kind, value in file.package_settings():
        if kind == "permissions" and isinstance(value, Mapping) and "group" in value:
            message = "packages are built by a user of their own, who can give them to no other group"
            hint = "remove 'group'; who installs the container says whose its files are"
            yield file.fault((*location, "group"), message, hint, of_key=True)
