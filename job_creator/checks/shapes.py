"""The lower levels of sections: what Spack refuses there, passes over in silence, or reads as something else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from foundation.errors import Fault
from foundation.spack.sections.shape import Shape, misfits, takes_numbers
from foundation.spack.sections.shapes import SHAPES, SPECS
from foundation.yaml_io import Location
from job_creator.checks.environment_file import EnvironmentFile
from job_creator.environments.marks import unmarked


def shape_faults(file: EnvironmentFile) -> Iterator[Fault]:
    """Keys that there are not, values of the wrong kind, and numbers that would not stay as they were written."""
    told: set[Location] = set()
    for key, value in file.section.items():
        shape = _shape(unmarked(key))
        if shape is None:
            continue
        for found in misfits(shape, value, file.line, (key,)):
            told.add(found.place)
            yield file.fault(found.place, found.message, found.hint, of_key=found.of_key)
    yield from _changed_numbers(file, told)


def _shape(section: str) -> Shape | None:
    return SPECS if section == "specs" else SHAPES.get(section)


def _changed_numbers(file: EnvironmentFile, told: set[Location]) -> Iterator[Fault]:
    for location, text in file.document.written.items():
        if location[:1] != ("spack",) or location[1:] in told:
            continue
        section, *inner = location[1:]
        shape = _shape(unmarked(str(section)))
        if shape and takes_numbers(shape, tuple(inner), file.line) and not text.lstrip("+-").startswith("0"):
            continue
        value = _value(file.document.value, location)
        yield file.fault(location[1:], f"{text} is the number {value} in YAML", f"put it in quotes, or write {value}")


def _value(value: Any, location: Location) -> Any:
    for step in location:
        value = value[step]
    return value
