"""The lower levels of sections: what Spack refuses there, passes over in silence, or reads as something else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from foundation.errors import Fault
from foundation.spack.sections.shape import Shape, misfits, takes_numbers
from foundation.spack.sections.shapes import SHAPES, SPECS
from foundation.validation import did_you_mean
from foundation.yaml_io import Location
from job_creator.checks.environment_file import EnvironmentFile
from job_creator.environments.marks import unmarked

_SIGILS: Final = "$^%"
"""What stands in front of the name of a list, alone or for `^` or `%` in front of each of its specs."""


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


def list_name_faults(file: EnvironmentFile) -> Iterator[Fault]:
    """Names of lists of specs, as `$compilers`, that nothing defines."""
    if file.definition is None or not file.fits_together:
        return
    defined = set(_defined(file.merged.get("definitions")))
    for key, value in file.section.items():
        if unmarked(key) in ("specs", "definitions") and isinstance(value, list):
            for location, name in _references(value, (key,)):
                if name not in defined:
                    hint = did_you_mean(name, defined) or "define it below 'definitions:'"
                    yield file.fault(location, f"no list {name!r} is defined", hint)


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


def _defined(definitions: Any) -> Iterator[str]:
    for one in definitions if isinstance(definitions, list) else ():
        if isinstance(one, Mapping):
            yield from (unmarked(str(key)) for key in one if unmarked(str(key)) != "when")


def _references(value: Any, location: Location) -> Iterator[tuple[Location, str]]:
    """Names of lists, at each place where Spack would look for one: whole specs, and whole parts of a matrix."""
    if isinstance(value, str):
        if value.startswith("$"):
            yield location, value.lstrip(_SIGILS)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _references(item, (*location, index))
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            if unmarked(str(key)) not in ("when", "exclude", "override"):
                yield from _references(inner, (*location, key))
