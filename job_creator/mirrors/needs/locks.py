"""What a mirror is for, as the user names it: lockfiles, folders with one, container definitions, specs."""

from __future__ import annotations

import logging
import platform
import re
import tempfile
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from foundation.doors.files import write_files
from foundation.doors.processes import ProcessError
from foundation.errors import CouldNotAskError, NotThereError, RefusedError
from foundation.registries.published import SPELLINGS
from foundation.spack.program import SpackProgram
from foundation.yaml_io import dump
from job_creator import project_files
from job_creator.mirrors.needs.questions import Lock, read_lock
from job_creator.site.site import Site

if TYPE_CHECKING:
    from job_creator.inputs import Written

LOCKFILE: Final = "spack.lock"
_MANIFESTS: Final = (".yaml", ".yml")
_NOT_FOR_MIRRORS: Final = ("ci", "mirrors", "view")
"""Sections of a container's environment that say nothing of what its packages are."""

_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Repository:
    """Where container definitions are looked for: the folder, its site file, and the architecture that is asked for."""

    directory: Path
    site_file: str
    environment: Mapping[str, str]
    architecture: str = ""


def own_architecture() -> str:
    """The architecture of this machine, as OCI calls it."""
    return SPELLINGS.get(platform.machine(), platform.machine())


def find_locks(
    wanted: Sequence[str], repository: Repository, spack: SpackProgram, *, everything: bool
) -> tuple[Lock, ...]:
    """The lockfiles of what was named; Spack concretizes definitions and specs in an environment of its own.

    All specs that were named make up one environment. Raises `NotThereError`, `InvalidInputError`, `CouldNotAskError`
    and `FileAccessError`.
    """
    definitions = Definitions(repository)
    found = [(one, None if definitions.has(one) else _file(one)) for one in wanted]
    specs = [one for one, path in found if path is None and one not in definitions.environments]
    locks = [
        read_lock(path) if path else concretized(spack, definitions.environments[one], one)
        for one, path in found
        if path or one not in specs
    ]
    for one in specs:
        _require_no_environment(spack, one)
    if specs:
        locks.append(concretized(spack, {"spack": {"specs": specs, "view": False}}, " ".join(specs)))
    if everything:
        if not definitions.environments:
            raise NotThereError(f"{repository.directory}: no container is defined for {definitions.wanted}")
        for name, environment in sorted(definitions.environments.items()):
            locks.append(concretized(spack, environment, name))
    return tuple(locks)


def _file(wanted: str) -> Path | None:
    """The lockfile that was named, or that is in the folder that was. Raises `NotThereError`.

    Whatever lies under that name is meant, never a spec of the same name.
    """
    path = Path(wanted)
    if path.is_file() and path.suffix in _MANIFESTS:
        beside = path.with_name(LOCKFILE)
        what = f"name {beside}" if beside.is_file() else "concretize it first, and name its spack.lock"
        raise NotThereError(f"{path}: is no lockfile; {what}")
    if path.is_file():
        return path
    if (path / LOCKFILE).is_file():
        return path / LOCKFILE
    if path.is_dir():
        hint = "" if "/" in wanted else f"; if the package is meant, say {wanted}@:"
        raise NotThereError(f"{path / LOCKFILE}: no such file; concretize the environment first{hint}")
    if "/" in wanted or wanted.endswith((".lock", *_MANIFESTS)):
        raise NotThereError(f"{path}: no such file")
    return None


def _require_no_environment(spack: SpackProgram, wanted: str) -> None:
    """Raise `RefusedError` for a spec that is also the name of an environment that Spack keeps: which one is meant?"""
    if not _NAME.fullmatch(wanted):
        return
    try:
        folder = spack.run("location", "-e", wanted).strip()
    except ProcessError:
        return  # there is none, or Spack will say what is wrong with it in a moment
    raise RefusedError(
        f"{wanted}: Spack has an environment of this name; say {Path(folder) / LOCKFILE} if that is meant, "
        f"or {wanted}@: for the package"
    )


class Definitions:
    """The container definitions of a repository, read when they are first asked for."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self.wanted = repository.architecture or own_architecture()

    def has(self, name: str) -> bool:
        """Whether a definition is meant where a folder of the same name has nothing to take."""
        path = Path(name)
        return path.is_dir() and not (path / LOCKFILE).is_file() and name in self.environments

    @cached_property
    def environments(self) -> dict[str, Any]:
        """Their environments, by name, for one architecture; none where there is no repository.

        Raises `NotThereError` where this machine could be of several architectures.
        """
        from job_creator.pipelines import base

        given, written = self._repository, self._written
        if written is None or not written.definitions:
            return {}
        architecture = given.architecture or self._own(written.site, {one.architecture for one in written.definitions})
        built = base.make_plan(given.directory, written, given.environment, offline=True)
        merged = {
            one.name: built.environments.get(project_files.merged_environment(one.name, architecture))
            for one in written.definitions
            if one.architecture == architecture
        }
        return {name: _without_cache(environment) for name, environment in merged.items() if environment}

    @property
    def package_lists(self) -> frozenset[str]:
        """The names of definitions that select packages, whatever their architecture."""
        return frozenset(one.name for one in self._written.package_lists) if self._written else frozenset()

    @cached_property
    def _written(self) -> Written | None:
        from job_creator import inputs

        given = self._repository
        if not (given.directory / given.site_file).is_file():
            return None
        return inputs.read_all(given.directory, given.site_file)

    def _own(self, site: Site, defined: Collection[str]) -> str:
        """The architecture of the site that this machine is of."""
        found = [name for name in site.architectures if name in defined and site.platform(name) == self.wanted]
        if len(found) > 1:
            message = f"{' and '.join(found)} are both {self.wanted}; say with --architecture which one is meant"
            raise NotThereError(f"{self._repository.directory}: {message}")
        return next(iter(found), self.wanted)


def _without_cache(environment: Mapping[str, Any]) -> dict[str, Any]:
    inner = {key: value for key, value in environment["spack"].items() if key not in _NOT_FOR_MIRRORS}
    return {"spack": {**inner, "view": False}}


def concretized(spack: SpackProgram, environment: Mapping[str, Any], name: str) -> Lock:
    """The lockfile that Spack makes of an environment. Raises `CouldNotAskError` where it refuses."""
    logger.info("Spack concretizes %s", name)
    with tempfile.TemporaryDirectory(prefix="jc-mirror-") as folder:
        write_files(Path(folder), {"spack.yaml": dump(environment).encode()})
        try:
            spack.concretize(Path(folder))
        except ProcessError as error:
            raise CouldNotAskError(f"{name}: neither a file nor a definition, or Spack refuses it: {error}") from None
        lock = read_lock(Path(folder) / LOCKFILE)
    return Lock(name, lock.content, lock.lockfile)


def places(locks: Iterable[Lock]) -> str:
    """What the locks are of, in one line."""
    return ", ".join(lock.place for lock in locks)
