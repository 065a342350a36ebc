"""Sections that the configured line of Spack does not know, and those that cannot work in all places."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from foundation.errors import Fault
from foundation.spack.sections.section import Rule
from foundation.spack.sections.table import SECTIONS
from foundation.yaml_io import Location
from job_creator.checks.environment_file import EnvironmentFile
from job_creator.environments.install_tree import install_tree
from job_creator.environments.marks import unmarked

_OF_THE_WHOLE: Final = frozenset({"mirrors", "repos"})


def refused_sections(file: EnvironmentFile) -> Iterator[Fault]:
    """Each section that would only work in some of the places where its environment is used."""
    for key, value in file.section.items():
        row = SECTIONS.get(unmarked(key))
        if row and row.rule is Rule.REFUSED and value:
            yield file.fault((key,), f"{row.name!r} cannot be used: {row.why}", row.instead, of_key=True)


def sections_of_groups(file: EnvironmentFile) -> Iterator[Fault]:
    """Sections in the `override` of a group that have to be the same for the whole environment."""
    for location, override in _overrides(file):
        for key, value in override.items():
            row = SECTIONS.get(unmarked(str(key)))
            if row and row.rule is Rule.REFUSED and value:
                message = f"{row.name!r} cannot be used: {row.why}"
                yield file.fault((*location, key), message, row.instead, of_key=True)
            elif row and row.name in _OF_THE_WHOLE:
                message = f"{row.name!r} cannot differ between groups: the image has one environment"
                yield file.fault((*location, key), message, "write it beside 'specs:'", of_key=True)
            elif row and row.name == "config" and install_tree(value):
                message = "the install tree cannot differ between groups: the image has one"
                yield file.fault((*location, key), message, "write it beside 'specs:'", of_key=True)


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


def _overrides(file: EnvironmentFile) -> Iterator[tuple[Location, Mapping[str, Any]]]:
    for key, specs in file.section.items():
        for index, entry in enumerate(specs if unmarked(key) == "specs" and isinstance(specs, list) else ()):
            override = entry.get("override") if isinstance(entry, Mapping) else None
            if isinstance(override, Mapping):
                yield (key, index, "override"), override
