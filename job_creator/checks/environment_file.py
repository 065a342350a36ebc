"""What the checks look at: one file with an environment, and what it is for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from foundation.errors import Fault
from foundation.spack.package_index import PackageIndex
from foundation.spack.releases import SpackLine
from foundation.yaml_io import Document, Location
from job_creator.definitions.definitions import SpackDefinition
from job_creator.definitions.layers import Layers
from job_creator.environments.dockerfile_template import DockerfileTemplate
from job_creator.environments.marks import merge, replaces, unmarked
from job_creator.site.site import Site


@dataclass(frozen=True)
class EnvironmentFile:
    """A file with an environment: a definition, the template, which has none, or a file that one of them includes."""

    document: Document
    site: Site
    root: Path
    """The repository."""
    definition: SpackDefinition | None = None
    template: Layers | None = field(default=None, repr=False, compare=False)
    """The template that the definition is merged with."""
    index: PackageIndex | None = field(default=None, repr=False, compare=False)
    """What the package repository has that the site pins, if that is known."""
    dockerfile: DockerfileTemplate | None = field(default=None, repr=False, compare=False)
    """The repository's own template of Dockerfiles, if it has one."""
    fits_together: bool = True
    """Whether template and definition are valid by their outer form, so that it is known what they make together."""

    @cached_property
    def names_own_repositories(self) -> bool:
        """Whether packages come from repositories that no index knows."""
        return bool(self.merged.get("repos"))

    @cached_property
    def line(self) -> SpackLine:
        """The line of Spack that the site builds with."""
        return self.site.spack.line

    @cached_property
    def section(self) -> Mapping[str, Any]:
        """What stands below `spack:`, with Spack's marks at its keys."""
        return _section(self.document)

    @cached_property
    def unmarked_section(self) -> Mapping[str, Any]:
        """What stands below `spack:`, without marks at its keys."""
        return {unmarked(key): value for key, value in self.section.items()}

    @property
    def is_whole(self) -> bool:
        """Whether it is a definition, which makes an environment together with the template and what both include."""
        return bool(self.fits_together and self.definition and self.document is self.definition.document)

    @cached_property
    def merged(self) -> Mapping[str, Any]:
        """What a definition and the template make together, with marks at keys of the lower levels only."""
        template = self.template.environment if self.template else {}
        own = self.definition.environment if self.definition else {}
        return {unmarked(key): value for key, value in merge(template, own).items()}

    def package_settings(self) -> Iterator[tuple[Location, str, str, Any]]:
        """What stands below `packages:`: its place below `spack:`, the package, what is set, and to what."""
        for key, packages in self.section.items():
            if unmarked(key) == "packages" and isinstance(packages, Mapping):
                for name, settings in packages.items():
                    for kind, value in settings.items() if isinstance(settings, Mapping) else ():
                        yield (key, name, kind), unmarked(str(name)), unmarked(str(kind)), value

    def fault(self, location: Location, message: str, hint: str = "", *, of_key: bool = False) -> Fault:
        """A fault at a place below `spack:`."""
        return self.document.fault(("spack", *location), message, hint, of_key=of_key)

    def fault_in_text(self, location: Location, column: int, message: str, hint: str = "") -> Fault:
        """A fault at a column of a text below `spack:`, counted from 1."""
        return self.document.fault_in_text(("spack", *location), column, message, hint)

    def fault_of_merged(self, location: Location, message: str, hint: str = "") -> Fault:
        """A fault of `merged`, where it was written: in this file, what it includes, or the template.

        The keys of `location` have no marks. What is missing is told where the closest thing around it was written.
        """
        best = _written_as((), self.document)
        included = self.definition.included if self.definition else ()
        of_template = self.template.documents if self.template else ()
        for document in (self.document, *included, *of_template):
            found = _written_as(location, document)
            best = max(best, found, key=lambda one: len(one.location))
            if found.replaces_weaker:
                break
        missing = len(best.location) < len(location) and isinstance(best.value, Mapping)
        return best.document.fault(("spack", *best.location), message, hint, of_key=missing)


Check = Callable[[EnvironmentFile], Iterator[Fault]]
"""Yields every fault of one kind."""


def _section(document: Document) -> Mapping[str, Any]:
    value = document.value.get("spack") if isinstance(document.value, Mapping) else None
    return value if isinstance(value, Mapping) else {}


@dataclass(frozen=True, slots=True)
class _Written:
    """As much of a location as a document has."""

    document: Document
    location: Location
    """With marks, seen from `spack:`."""
    value: Any
    replaces_weaker: bool
    """Whether a mark, or a plain value on the way, drops what weaker documents have at this location."""


def _written_as(location: Location, document: Document) -> _Written:
    value: Any = _section(document)
    written: Location = ()
    replaces_weaker = False
    for step in location:
        if isinstance(value, Mapping):
            key = next((one for one in value if unmarked(str(one)) == step), None)
        else:
            key = step if isinstance(value, list) and isinstance(step, int) and step < len(value) else None
        if key is None:
            break
        replaces_weaker = replaces_weaker or replaces(str(key))
        written, value = (*written, key), value[key]
    is_plain = bool(written) and not isinstance(value, Mapping)
    return _Written(document, written, value, replaces_weaker or is_plain)
