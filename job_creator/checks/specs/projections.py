"""Paths of views and of the install tree that are made of fields of specs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from foundation.errors import Fault
from foundation.spack.grammar.formats import format_problems
from foundation.yaml_io import Location
from job_creator.checks.environment_file import EnvironmentFile
from job_creator.environments.marks import unmarked


def projection_faults(file: EnvironmentFile) -> Iterator[Fault]:
    """Projections that Spack would refuse when everything is built, and those that lead elsewhere."""
    for location, text in _projections(file.section, ()):
        for problem in format_problems(text):
            yield file.fault_in_text(location, problem.column, problem.message, problem.hint)


def _projections(section: Mapping[str, Any], at: Location) -> Iterator[tuple[Location, str]]:
    for key, value in section.items():
        if not isinstance(value, Mapping):
            continue
        name, place = unmarked(str(key)), (*at, key)
        if name == "view" and not at:
            for view, settings in value.items():
                if isinstance(settings, Mapping):
                    yield from _of(settings, (*place, view))
        elif name == "config" and not at:
            yield from _projections(value, place)
        elif name == "install_tree" and len(at) == 1:
            yield from _of(value, place)


def _of(settings: Mapping[str, Any], at: Location) -> Iterator[tuple[Location, str]]:
    for key, projections in settings.items():
        if unmarked(str(key)) == "projections" and isinstance(projections, Mapping):
            for which, text in projections.items():
                if isinstance(text, str):
                    yield (*at, key, which), text
