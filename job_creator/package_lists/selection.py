"""Which packages of a package repository a definition selects. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from foundation.errors import Fault
from foundation.spack.licenses import is_allowed
from foundation.spack.package_index import PackageIndex
from foundation.validation import did_you_mean
from job_creator.definitions.definitions import SpackDefinition
from job_creator.definitions.file import PackageSelection


@dataclass(frozen=True, slots=True)
class SelectedPackage:
    """A package, and what it was selected by."""

    name: str
    build_systems: tuple[str, ...]
    licenses: tuple[str, ...]
    """The expressions that its recipe states, over all conditions."""


def selected(wanted: PackageSelection, index: PackageIndex) -> tuple[SelectedPackage, ...]:
    """The packages that fit, in the order of their names."""
    found = tuple(
        SelectedPackage(name, tuple(sorted(index.build_systems_of(name))), index.licenses_of(name))
        for name in index.packages
        if _fits(name, wanted, index)
    )
    return found[: wanted.limit]


def _fits(name: str, wanted: PackageSelection, index: PackageIndex) -> bool:
    if any(fnmatchcase(name, pattern) for pattern in wanted.exclude):
        return False
    if wanted.build_systems and index.build_systems_of(name).isdisjoint(wanted.build_systems):
        return False
    licenses = index.licenses_of(name)
    return not wanted.licenses or (bool(licenses) and all(is_allowed(one, wanted.licenses) for one in licenses))


def selection_faults(definition: SpackDefinition, index: PackageIndex) -> Iterator[Fault]:
    """What is selected by that no package has: build systems, and names without a pattern."""
    if definition.select is None:
        return
    place = ("spacktainer", "select")
    known = {system for name in index.packages for system in index.build_systems_of(name)}
    for number, system in enumerate(definition.select.build_systems):
        if system not in known:
            message, location = f"no package is built by {system!r}", (*place, "build_systems", number)
            yield definition.document.fault(location, message, did_you_mean(system, known))
    for number, pattern in enumerate(definition.select.exclude):
        if not any(fnmatchcase(name, pattern) for name in index.packages):
            location = (*place, "exclude", number)
            yield definition.document.fault(location, f"no package is called {pattern!r}", "remove it, or mend it")
