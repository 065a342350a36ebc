"""What is said of a section of an environment: one row of the table."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from foundation.spack.releases import RELEASES, SpackLine

OLDEST: Final = RELEASES[0].line


class Place(Enum):
    """Where an environment is used. It is moved from one place to the next."""

    CONCRETIZATION = "concretization"
    """The job that concretizes, in its scratch folder."""
    PACKAGES = "packages"
    """The jobs that build packages, each in a checkout of its own."""
    IMAGE = "image"
    """The build of the container, which installs what the lockfile says from the build cache."""


class Rule(Enum):
    """What becomes of a section on its way through the places."""

    TRAVELS = "travels"
    """It stands in the `spack.yaml` of all places."""
    APART = "apart"
    """It takes effect in the image, whose `spack.yaml` does not have it."""
    MERGED = "merged"
    """It is resolved when the environment is made, and stands in none of them."""
    STAYS_OUT = "stays out"
    """It means nothing in the image, and does not stand there."""
    REFUSED = "refused"
    """It cannot work in all places, so it is a fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A key of `spack:` in an environment that some supported line of Spack knows."""

    name: str
    rule: Rule
    effect: frozenset[Place]
    """Where it changes something."""
    why: str
    """What becomes of it, as documentation and faults say it."""
    instead: str = ""
    """What to write where it is refused."""
    since: SpackLine = OLDEST
    mapping_since: SpackLine = OLDEST
    """The line from which on it may be a mapping."""
    deprecated_since: SpackLine | None = None
    """The line from which on Spack has something else for it, and still reads it."""

    def why_unknown(self, value: object, line: SpackLine) -> str:
        """Why a line cannot take this section with this value; empty if it can."""
        since, shown = self.since, f"'{self.name}'"
        if isinstance(value, dict) and self.mapping_since > since:
            since, shown = self.mapping_since, f"'{self.name}' as a mapping"
        return f"{shown} needs Spack {since} or newer; this site builds with {line}" if line < since else ""


@dataclass(frozen=True, slots=True)
class FormerSection:
    """A key of `spack:` that only older lines took."""

    name: str
    until: SpackLine
    """The last line that took it."""
    instead: str
    """What to write today."""
