"""What somebody asks of a single run: only some of the containers, or some things built in any case. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from foundation.errors import Fault, InvalidInputError
from foundation.validation import did_you_mean
from job_creator.definitions.definitions import Definition
from job_creator.project_files import ALL, BASE_IMAGES, DEFINITIONS_FOLDER


@dataclass(frozen=True, slots=True)
class Choice:
    """Names of containers that a run is about (none means all), and of images that are built in any case."""

    only: frozenset[str] = frozenset()
    forced: frozenset[str] = frozenset()

    def of(self, definitions: Iterable[Definition]) -> tuple[Definition, ...]:
        """The definitions that the run is about."""
        return tuple(one for one in definitions if not self.only or one.name in self.only)

    def forces(self, name: str) -> bool:
        """Whether a base image or container of this name is built in any case."""
        return name in self.forced or ALL in self.forced


EVERYTHING: Final = Choice()


def read_choice(only: Iterable[str], forced: Iterable[str], definitions: Sequence[Definition]) -> Choice:
    """A choice from what was written on a command line or into a variable, where commas may separate names too.

    Raises `InvalidInputError` for names that are not there, on any architecture.
    """
    containers = sorted({one.name for one in definitions})
    choice = Choice(frozenset(_names(only)), frozenset(_names(forced)))
    faults = [_fault(name, "to build only", containers) for name in sorted(choice.only.difference(containers))]
    known = (*BASE_IMAGES, *containers, ALL)
    faults += [_fault(name, "to be forced", known) for name in sorted(choice.forced.difference(known))]
    if faults:
        raise InvalidInputError(faults)
    return choice


def _names(texts: Iterable[str]) -> list[str]:
    return [name for text in texts for name in text.replace(",", " ").split()]


def _fault(name: str, wish: str, known: Sequence[str]) -> Fault:
    kind = "container or base image" if ALL in known else "container"
    return Fault(DEFINITIONS_FOLDER, 1, 1, f"there is no {kind} {name!r} {wish}", did_you_mean(name, known))
