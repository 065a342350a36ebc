"""A definition as a list of packages: what it names, what it selects, and the environment that all of it shares."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from foundation.doors.files import read_file
from foundation.errors import InvalidInputError, NotThereError
from foundation.spack.groups import is_group
from foundation.spack.package_index import PackageIndex, read_package_index
from foundation.spack.program import SpackProgram
from foundation.validation import did_you_mean
from job_creator import project_files
from job_creator.definitions.definitions import SpackDefinition
from job_creator.definitions.recipes import with_recipes_below
from job_creator.environments.marks import found_at, key_of, unmarked
from job_creator.inputs import Written, read_all
from job_creator.mirrors.needs.locks import Repository, own_architecture
from job_creator.package_index.building import build
from job_creator.package_lists.folder import LockWish, wish
from job_creator.package_lists.selection import SelectedPackage, selected, selection_faults
from job_creator.pipelines.base import make_plan

_NOT_SOLVED_WITH: Final = ("cdash", "ci", "container", "env_vars", "mirrors", "modules", "view")
"""Sections that say nothing of what a spec becomes."""
_OF_ALL: Final = ("definitions", "specs")
"""Sections that say which specs there are."""


@dataclass(frozen=True)
class PackageList:
    """A definition, and the packages that it selects."""

    definition: SpackDefinition
    written: Written
    repository: Repository
    selected: tuple[SelectedPackage, ...]

    @property
    def name(self) -> str:
        """With its architecture."""
        return f"{self.definition.architecture}/{self.definition.name}"

    @property
    def specs(self) -> tuple[Any, ...]:
        """What it names, as it was written."""
        return tuple(self._named)

    @cached_property
    def _merged(self) -> Mapping[str, Any]:
        """What the site, the template and it make together, without what nobody solves with."""
        only = replace(self.written, definitions=(self.definition,), package_lists=())
        given = self.repository
        built = make_plan(given.directory, only, given.environment, offline=True)
        merged = built.environments[
            project_files.merged_environment(self.definition.name, self.definition.architecture)
        ]
        section = {key: value for key, value in merged["spack"].items() if unmarked(key) not in _NOT_SOLVED_WITH}
        return {**section, "view": False}

    @cached_property
    def environment(self) -> Mapping[str, Any]:
        """The same, with recipes of the repository where this checkout has them."""
        return with_recipes_below(self._merged, str(self.repository.directory.absolute()))

    @cached_property
    def section(self) -> Mapping[str, Any]:
        """The same for one wish, without specs. Where each spec is a wish, there is nothing to unify it with."""
        section = {key: value for key, value in self.environment.items() if unmarked(key) not in _OF_ALL}
        if self._is_apart:
            key = key_of(section, "concretizer")
            inner = {name: value for name, value in section[key].items() if unmarked(name) != "unify"}
            section[key] = {**inner, "unify": True}
        return section

    def wishes(self, resolved: Sequence[str]) -> tuple[LockWish, ...]:
        """What has to be concretized, `resolved` being the specs that it names, as Spack reads them.

        With `unify: false` each spec is a wish; otherwise they are one, as in a container. What is selected is
        concretized by itself in any case.
        """
        if not resolved or not self._is_apart:
            together = [replace(wish([self.definition.name]), specs=tuple(resolved))] if resolved else []
        else:
            together = [wish([spec]) for spec in dict.fromkeys(resolved)]
        found = {one.name: one for one in (*together, *(wish([one.name]) for one in self.selected))}
        return tuple(found.values())

    def fingerprint(self, version: str) -> str:
        """Of all that decides what a spec becomes: the environment, the recipes that the site pins, the Spack."""
        said = [
            {key: value for key, value in self._merged.items() if unmarked(key) not in _OF_ALL},
            self.written.site.spack.recipes_ref,
            version,
        ]
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()

    @property
    def _named(self) -> list[Any]:
        specs: Any = self.definition.environment.get(key_of(self.definition.environment, "specs"))
        return list(specs or [])

    @property
    def _is_apart(self) -> bool:
        found = [value for _, value in found_at(self.environment, ("concretizer", "unify"))]
        return found == [False] and not any(is_group(one) for one in self._named)


def find_list(wanted: str, repository: Repository, index: Path | None, spack: SpackProgram) -> PackageList:
    """The definition that is named, `ARCHITECTURE/NAME` or `NAME`, with what it selects.

    Where it selects, names come from an index of the recipes that the site pins, or else from Spack. Raises
    `NotThereError`, `InvalidInputError`, `FileAccessError`, and what `building.build` raises.
    """
    written = read_all(repository.directory, repository.site_file, index)
    definition = _definition(wanted, written, repository)
    if definition.select is None:
        return PackageList(definition, written, repository, ())
    known = _index(written, repository.directory, index, spack)
    if faults := list(selection_faults(definition, known)):
        raise InvalidInputError(faults)
    return PackageList(definition, written, repository, selected(definition.select, known))


def _definition(wanted: str, written: Written, repository: Repository) -> SpackDefinition:
    architecture, _, name = wanted.rpartition("/")
    every = [one for one in (*written.definitions, *written.package_lists) if isinstance(one, SpackDefinition)]
    named = [one for one in every if one.name == name]
    platform = repository.architecture or own_architecture()
    fitting = [one for one in named if one.architecture == architecture or not architecture]
    if len(fitting) > 1:
        fitting = [one for one in fitting if platform in (one.architecture, written.site.platform(one.architecture))]
    if len(fitting) == 1:
        return fitting[0]
    known = [f"{one.architecture}/{one.name}" for one in every]
    message = (
        "names several definitions" if len(fitting) > 1 else "there is no definition of Spack packages of this name"
    )
    raise NotThereError(f"{wanted}: {message}; {did_you_mean(wanted, known)}")


def _index(written: Written, root: Path, named: Path | None, spack: SpackProgram) -> PackageIndex:
    """An index of the pinned recipes that is there already, or one that Spack is asked for now."""
    path, ref = named or root / project_files.PACKAGE_INDEX, written.site.spack.recipes_ref
    if path.is_file() and (known := read_package_index(read_file(path), str(path))).is_of(ref):
        return known
    return read_package_index(build(spack, ref).content, "Spack's recipes")
