"""Package repositories that an environment names: each has to be there wherever Spack runs."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from typing import Any, Final

from foundation.errors import Fault
from foundation.yaml_io import Location
from job_creator.checks.environment_file import EnvironmentFile
from job_creator.definitions.paths import PathKind, read_path
from job_creator.definitions.recipes import written_repositories

_OF_SPACK: Final = ("$spack/", "${spack}/")
"""What lies beside Spack itself is in the builder image."""


def recipe_faults(file: EnvironmentFile) -> Iterator[Fault]:
    """Package repositories that only some places have, or that may be others in each of them."""
    for location, entry in written_repositories(file.section):
        if isinstance(entry, str):
            yield from _faults_of_path(file, location, entry)
        elif isinstance(entry, Mapping) and "git" not in _merged(file, str(location[-1]), entry):
            message = "nothing says which git repository this is; the builder image has its recipes in a folder"
            yield file.fault(location, message, "add 'git:', and 'commit:' or 'tag:'", of_key=True)
        elif isinstance(entry, Mapping) and not {"commit", "tag"} & set(entry):
            message = f"the package repository {entry.get('git', location[-1])} may change while packages are built"
            yield file.fault(location, message, "pin it with 'commit:' or 'tag:'")


def _merged(file: EnvironmentFile, name: str, entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """All that the template and the definition say of a repository."""
    repositories = file.merged.get("repos")
    found = repositories.get(name) if isinstance(repositories, Mapping) else None
    return {**found, **entry} if isinstance(found, Mapping) else entry


def _faults_of_path(file: EnvironmentFile, location: Location, entry: str) -> Iterator[Fault]:
    found = read_path(entry, posixpath.dirname(file.document.path))
    if found.kind is PathKind.URL:
        hint = "write a mapping with 'git:' and 'commit:'" if file.line.recipes_apart else "copy it into the repository"
        yield file.fault(location, f"{entry!r} is no path of a package repository", hint)
    elif found.kind is PathKind.OUTSIDE or (found.kind is PathKind.MACHINE and not entry.startswith(_OF_SPACK)):
        message = f"{entry!r} is not in the repository, so that only some jobs would see it"
        yield file.fault(
            location, message, "copy it into the repository, and name that by a path relative to this file"
        )
    elif found.kind is PathKind.REPOSITORY and not (file.root / found.path / "repo.yaml").is_file():
        message = f"{found.path} is no package repository; it has no repo.yaml"
        yield file.fault(location, *message.split("; "))
