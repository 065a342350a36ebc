"""Sections that the configured line of Spack does not know, and those that cannot work in all places."""

from __future__ import annotations

from collections.abc import Iterator

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
