"""What the doctor says: one thing that was looked at, how it is, and what to do about it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from foundation.errors import SpacktainersError


class Health(StrEnum):
    """How something is."""

    OK = "ok"
    WARNING = "warning"
    """Works, and somebody may be surprised one day."""
    FAULT = "fault"
    """Jobs will fail, or something is lost or open to others."""
    NOT_CHECKED = "not checked"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What was found out about one thing."""

    area: str
    """The part of the site that it is in: `registry`, `buckets` …"""
    subject: str
    """The thing, as the site calls it."""
    health: Health
    said: str
    advice: str = ""
    """What to do about it."""

    def as_value(self) -> dict[str, Any]:
        """The diagnosis as JSON has it."""
        return {**asdict(self), "health": str(self.health)}


@dataclass(frozen=True, slots=True)
class Patient:
    """One thing to look at. Says nothing but by its `diagnosis` methods."""

    area: str
    subject: str

    def ok(self, said: str) -> Diagnosis:
        """It is as it should be."""
        return Diagnosis(self.area, self.subject, Health.OK, said)

    def warning(self, said: str, advice: str) -> Diagnosis:
        """It works, but."""
        return Diagnosis(self.area, self.subject, Health.WARNING, said, advice)

    def fault(self, said: str, advice: str) -> Diagnosis:
        """It does not work."""
        return Diagnosis(self.area, self.subject, Health.FAULT, said, advice)

    def not_checked(self, said: str, advice: str = "") -> Diagnosis:
        """Nobody knows."""
        return Diagnosis(self.area, self.subject, Health.NOT_CHECKED, said, advice)


@dataclass(frozen=True, slots=True)
class Examination:
    """A question to the outside, and whom it is about. It changes nothing out there."""

    patient: Patient
    ask: Callable[[], Iterable[Diagnosis]]
    advice: str
    """What to do where no answer comes."""

    def diagnoses(self) -> tuple[Diagnosis, ...]:
        """What comes of it; where no usable answer comes, that is a fault in itself."""
        found: list[Diagnosis] = []
        try:
            # One by one, so that what was said before an answer failed to come is kept.
            found.extend(self.ask())
        except SpacktainersError as error:
            found.append(self.patient.fault(str(error), self.advice))
        return tuple(found)


def worst(diagnoses: Iterable[Diagnosis]) -> Health:
    """The worst that was found; what was not checked is no illness."""
    found = {one.health for one in diagnoses}
    return next((health for health in (Health.FAULT, Health.WARNING) if health in found), Health.OK)


def counted(diagnoses: Iterable[Diagnosis]) -> Iterator[str]:
    """How many of each kind there are: `12 ok`, `1 fault`."""
    found = [one.health for one in diagnoses]
    yield from (f"{found.count(health)} {health}" for health in Health if health in found)
