"""Settings of `packages:` that no Spack takes, or looks at, where the key is a virtual package or has a namespace.

Tried with Spack 0.23.1 and 1.1.0; `parse_spec_from_yaml_string` in lib/spack/spack/solver/requirements.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from foundation.errors import Fault
from foundation.spack.grammar.parser import parse_spec
from foundation.spack.grammar.spec import AbstractSpec
from foundation.yaml_io import Location
from job_creator.checks.environment_file import EnvironmentFile
from job_creator.checks.specs.places import REFERENCE, requirements
from job_creator.environments.marks import unmarked
from job_creator.environments.requirements import VIRTUALS

_PREFERENCES: Final = ("prefer", "conflict")
_OF_PROVIDERS: Final = ("version", "variants", "externals", "permissions", "package_attributes")
_LANGUAGES: Final = frozenset({"c", "cxx", "fortran"})


def virtual_faults(file: EnvironmentFile) -> Iterator[Fault]:
    """Settings of virtual packages that have no effect, or that Spack refuses when it concretizes."""
    if file.names_own_repositories:
        return
    known = file.index.virtuals if file.index else VIRTUALS
    if not file.line.compilers_are_dependencies:
        known = known - _LANGUAGES
    for place, name, _, content in file.package_settings():
        if name in known:
            yield from _of_kind(file, name, place, content)


def _of_kind(file: EnvironmentFile, name: str, place: Location, content: Any) -> Iterator[Fault]:
    kind, apart = unmarked(str(place[-1])), file.line.compilers_are_dependencies
    hint = "name a provider, as in 'require: openmpi' for mpi, and say the rest below the key of that package"
    if kind in _OF_PROVIDERS:
        message = f"{kind!r} has no effect: {name!r} is a virtual package"
        yield file.fault(place, message, "say it of the package that provides it", of_key=True)
    elif kind in _PREFERENCES and not apart:
        message = f"{kind!r} has no effect for virtual packages in Spack {file.line}"
        yield file.fault(place, message, f"write 'require:', or name providers in all: providers: {name}", of_key=True)
    elif kind in ("require", *_PREFERENCES):
        for one in requirements(content, place):
            if one.location[-1] != "when" and _names_nobody(one.text, file):
                what = "has no effect" if kind in _PREFERENCES else f"is refused by Spack {file.line}"
                message = f"{one.text!r} {what}: {name!r} is a virtual package, and this names no provider"
                yield file.fault_in_text(one.location, 1, message, hint)


def _names_nobody(text: str, file: EnvironmentFile) -> bool:
    """Whether a spec has no name. Before Spack 1.0 versions and targets may stand alone."""
    spec = None if REFERENCE.fullmatch(text) else parse_spec(text, file.line)
    if not isinstance(spec, AbstractSpec) or spec.name:
        return False
    tied = bool(spec.edges) or any(setting.is_variant for setting in spec.settings)
    return tied or file.line.compilers_are_dependencies
