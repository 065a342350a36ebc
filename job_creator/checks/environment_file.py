"""What the checks look at: one file with an environment, and what it is for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foundation.errors import Fault
from foundation.spack.releases import SpackLine
from foundation.yaml_io import Document, Location
from job_creator.definitions.definitions import SpackDefinition
from job_creator.site.site import Site


@dataclass(frozen=True, slots=True)
class EnvironmentFile:
    """A file with an environment: a definition, or the template, which has none."""

    document: Document
    site: Site
    root: Path
    """The repository."""
    definition: SpackDefinition | None = None

    @property
    def line(self) -> SpackLine:
        """The line of Spack that the site builds with."""
        return self.site.spack.line

    @property
    def section(self) -> Mapping[str, Any]:
        """What stands below `spack:`, with Spack's marks at its keys."""
        value = self.document.value["spack"]
        return value if isinstance(value, Mapping) else {}

    def fault(self, location: Location, message: str, hint: str = "", *, of_key: bool = False) -> Fault:
        """A fault at a place below `spack:`."""
        return self.document.fault(("spack", *location), message, hint, of_key=of_key)


Check = Callable[[EnvironmentFile], Iterator[Fault]]
"""Yields every fault of one kind."""
