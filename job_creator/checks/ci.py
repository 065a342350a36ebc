"""What stands below `ci:` and would never reach a job."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from foundation.errors import Fault
from foundation.yaml_io import Location
from job_creator.checks.environment_file import EnvironmentFile
from job_creator.environments.marks import replaces, unmarked

_ORDER: Final = frozenset({"stage", "needs", "dependencies", "when", "rules", "only", "except", "interruptible"})
"""Keywords that say when a job runs, which follows from what packages need."""
_NEVER_WRITTEN: Final = {
    "cleanup": "Spack writes no such job any more",
    "noop": "a pipeline without packages gets a job of this project",
}
_SCRIPTS_OF_SPACK: Final = frozenset({"reindex", "cleanup"})
"""Jobs whose script Spack sets itself."""


def ci_faults(file: EnvironmentFile) -> Iterator[Fault]:
    """Keywords that Spack or this project sets, and scripts of the site that would be lost."""
    for key, section in file.section.items():
        if unmarked(key) != "ci" or not isinstance(section, Mapping):
            continue
        for inner, entries in section.items():
            if unmarked(str(inner)) == "pipeline-gen" and isinstance(entries, list):
                for index, entry in enumerate(entries):
                    for location, kind, keywords in _jobs(entry, (key, inner, index)):
                        yield from _of_job(file, location, kind, keywords)


def _jobs(entry: Any, location: Location) -> Iterator[tuple[Location, str, Mapping[str, Any]]]:
    """The keywords that an entry sets in jobs of a kind; what it removes is not among them."""
    if not isinstance(entry, Mapping):
        return
    for key, value in entry.items():
        name = unmarked(str(key))
        if name.endswith("-job") and isinstance(value, Mapping):
            yield (*location, key), name.removesuffix("-job"), value
        elif name == "submapping" and isinstance(value, list):
            for index, inner in enumerate(value):
                yield from _jobs(inner, (*location, key, index))


def _of_job(file: EnvironmentFile, location: Location, kind: str, keywords: Mapping[str, Any]) -> Iterator[Fault]:
    if kind in _NEVER_WRITTEN:
        yield file.fault(location, f"'{kind}-job' has no effect: {_NEVER_WRITTEN[kind]}", "remove it", of_key=True)
        return
    for key in keywords:
        name, place = unmarked(str(key)), (*location, key)
        if name in _ORDER:
            message = f"{name!r} has no effect here: when a job runs follows from what packages need"
            yield file.fault(place, message, "remove it", of_key=True)
        elif name == "retry" and not file.line.compilers_are_dependencies:
            message = f"{name!r} has no effect: Spack {file.line} replaces it"
            yield file.fault(place, message, "it is read from Spack 1.0 on; remove it", of_key=True)
        elif name == "script" and kind in _SCRIPTS_OF_SPACK:
            message = f"'script' of '{kind}-job' has no effect: Spack replaces it"
            yield file.fault(place, message, "write 'before_script' or 'after_script'", of_key=True)
        elif name in ("before_script", "script") and replaces(str(key)) and kind in ("any", "build", "reindex"):
            lost = "what sets Spack up and trusts keys" if name == "before_script" else "what builds the package"
            yield file.fault(place, f"{str(key) + ':'!r} drops {lost}", f"write '{name}:' or '{name}-:'", of_key=True)
