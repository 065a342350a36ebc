"""Sections that the configured line of Spack does not know, and those that cannot work in all places."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from foundation.errors import Fault
from foundation.spack.sections.section import Rule
from foundation.spack.sections.table import SECTIONS
from job_creator.checks.environment_file import EnvironmentFile
from job_creator.environments.marks import unmarked


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
