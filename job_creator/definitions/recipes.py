"""Folders with recipes that an environment names below `repos`.

The section is a list of paths, or a mapping from names to paths and git repositories (lib/spack/spack/schema/repos.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from foundation.yaml_io import Location
from job_creator.definitions.paths import CHECKOUT, PathKind, read_path
from job_creator.environments.marks import unmarked

_SECTION: Final = "repos"


def written_repositories(section: Mapping[str, Any]) -> Iterator[tuple[Location, Any]]:
    """Each entry below `repos` in the sections of a file, and its place seen from `spack:`."""
    for key, entries in section.items():
        if unmarked(str(key)) != _SECTION:
            continue
        listed = entries if isinstance(entries, list) else ()
        items = entries.items() if isinstance(entries, Mapping) else enumerate(listed)
        for name, entry in items:
            yield (key, name), entry


def recipe_folders(section: Mapping[str, Any], folder: str) -> Iterator[str]:
    """The folders of the repository that a file in `folder` names, seen from its top."""
    for _, entry in written_repositories(section):
        if isinstance(entry, str) and (found := read_path(entry, folder)).kind is PathKind.REPOSITORY:
            yield found.path


def with_recipes_of_checkout(section: Mapping[str, Any], folder: str) -> dict[str, Any]:
    """The sections of a file in `folder`, with paths of recipes that are the same wherever its text is moved to."""

    def seen_from_jobs(entry: str) -> str:
        found = read_path(entry, folder)
        return f"{CHECKOUT}/{found.path}" if found.kind is PathKind.REPOSITORY else entry

    return _with_paths(section, seen_from_jobs)


def recipes_in_checkout(section: Mapping[str, Any]) -> tuple[str, ...]:
    """The folders that a merged environment takes recipes from, seen from the top of the checkout."""
    return tuple(sorted({*recipe_folders(section, "")}))


def with_recipes_below(section: Mapping[str, Any], folder: str) -> dict[str, Any]:
    """The sections of a merged environment, with recipes of the checkout at the same place below `folder`."""

    def moved(entry: str) -> str:
        found = read_path(entry, "")
        return f"{folder}/{found.path}" if found.kind is PathKind.REPOSITORY else entry

    return _with_paths(section, moved)


def _with_paths(section: Mapping[str, Any], change: Callable[[str], str]) -> dict[str, Any]:
    def changed(entry: Any) -> Any:
        return change(entry) if isinstance(entry, str) else entry

    def all_changed(entries: Any) -> Any:
        if isinstance(entries, Mapping):
            return {name: changed(entry) for name, entry in entries.items()}
        return [changed(entry) for entry in entries] if isinstance(entries, list) else entries

    return {key: all_changed(value) if unmarked(str(key)) == _SECTION else value for key, value in section.items()}
