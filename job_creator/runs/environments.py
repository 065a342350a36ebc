"""What a run is told to build, as environments that any worker can install from: a lockfile and a spack.yaml each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from foundation.doors.files import read_file
from foundation.errors import NotThereError, RefusedError
from foundation.spack.groups import DEFAULT_GROUP
from foundation.spack.lockfile import Lockfile, flattened, read_lockfile
from foundation.spack.program import SpackProgram
from foundation.stores.schemes import split_url
from foundation.yaml_io import dump, load
from job_creator.environments.install_tree import install_tree
from job_creator.environments.marks import unmarked
from job_creator.mirrors.needs.locks import LOCKFILE, Definitions, Repository, concretized
from job_creator.package_lists.folder import LIST, LockFolder

MANIFEST: Final = "spack.yaml"
PADDED_LENGTH: Final = 128
"""Of install paths, where nobody says another: what was built in a folder with a short name fits anywhere then."""
_KEPT: Final = ("bootstrap", "compilers", "concretizer", "config", "packages", "repos", "toolchains")
"""Sections of an environment that say how its packages are built."""
_WORKERS: Final = ("install_tree", "build_stage", "test_stage", "source_cache", "misc_cache", "build_jobs")
"""Settings of `config` that a worker makes itself."""


@dataclass(frozen=True)
class RunEnvironment:
    """A concrete environment whose packages are to be built."""

    name: str
    """Also the name of its folder."""
    lockfile: Lockfile
    lock: bytes
    """The lockfile as workers get it: without included environments and groups, which they would look for."""
    section: Mapping[str, Any]
    """Of its spack.yaml, what says how packages are built."""
    collect: tuple[str, ...] = ()
    """What is to be collected of its builds."""

    @property
    def manifest(self) -> bytes:
        """The spack.yaml that workers get. Its specs are those of the lockfile, so that Spack concretizes nothing."""
        inner = {"specs": list(read_lockfile(self.lock, self.name).root_texts), "view": False, **self.section}
        config = inner.get("config")
        if isinstance(config, Mapping):
            inner["config"] = {key: value for key, value in config.items() if unmarked(str(key)) not in _WORKERS}
        return dump({"spack": inner}).encode()

    @property
    def padded_length(self) -> int:
        """How long install paths are made at least."""
        return int(install_tree(self.section.get("config")).get("padded_length", PADDED_LENGTH))


def find_environments(
    wanted: Sequence[str], repository: Repository, spack: SpackProgram
) -> Mapping[str, RunEnvironment]:
    """The environments that are named: lockfiles, folders with a spack.lock or with `*.lock`, container definitions.

    Spack concretizes definitions. Raises `NotThereError`, `RefusedError`, `InvalidInputError`, `CouldNotAskError` and
    `FileAccessError`.
    """
    found: dict[str, RunEnvironment] = {}
    for one in wanted:
        for environment in _environments(one, repository, spack):
            name, number = environment.name, 2
            while name in found:
                name, number = f"{environment.name}-{number}", number + 1
            found[name] = replace(environment, name=name)
    return found


def _environments(wanted: str, repository: Repository, spack: SpackProgram) -> Iterator[RunEnvironment]:
    path = Path(wanted)
    if path.is_file():
        yield _of_file(path)
    elif (path / LOCKFILE).is_file():
        yield _of_file(path / LOCKFILE)
    elif path.is_dir() and (locks := sorted(path.glob("*.lock"))):
        for lock in locks:
            yield _of_file(lock)
    else:
        yield _of_definition(wanted, repository, spack)


def _of_file(path: Path) -> RunEnvironment:
    content = read_file(path)
    beside = path.parent / MANIFEST
    is_environment = beside.is_file() and (path.name == LOCKFILE or (path.parent / LIST).is_file())
    section = load(read_file(beside), str(beside)).get("spack", {}) if is_environment else {}
    if any(unmarked(str(key)) == "include" for key in section):
        raise RefusedError(f"{beside}: 'include' is not followed; name the folder that it includes with --scope")
    name = path.absolute().parent.name if path.name == LOCKFILE else path.stem
    found = _environment(name, content, str(path), _in_place(section, path.absolute().parent))
    return found if path.name == LOCKFILE else replace(found, collect=LockFolder(path.parent).collect)


def _of_definition(wanted: str, repository: Repository, spack: SpackProgram) -> RunEnvironment:
    architecture, mark, name = wanted.rpartition("/")
    given = Repository(
        repository.directory,
        repository.site_file,
        repository.environment,
        architecture if mark else repository.architecture,
    )
    definitions = Definitions(given)
    if name not in definitions.environments:
        if name in definitions.package_lists:
            how = "'jc packages lock' makes a folder of lockfiles to build"
            raise NotThereError(f"{wanted}: selects packages, or collects something; {how}")
        raise NotThereError(
            f"{wanted}: no lockfile, no folder with one, and no container of this name is defined for "
            f"{definitions.wanted} in {repository.directory}"
        )
    environment = definitions.environments[name]
    lock = concretized(spack, environment, name)
    return _environment(name, lock.content, lock.place, environment["spack"])


def _environment(name: str, content: bytes, place: str, section: Mapping[str, Any]) -> RunEnvironment:
    lockfile = read_lockfile(content, place)
    alone = not lockfile.included_roots and set(lockfile.root_groups) <= {DEFAULT_GROUP}
    kept = {key: value for key, value in section.items() if unmarked(str(key)) in _KEPT}
    return RunEnvironment(name, lockfile, content if alone else flattened(content, place), kept)


def _in_place(section: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """A section whose package repositories are found from anywhere; Spack looks from the environment's folder."""

    def placed(value: Any) -> Any:
        is_relative = isinstance(value, str) and not split_url(value)[0] and value[:1] not in "/$~"
        return str(folder / value) if is_relative else value

    found = dict(section)
    for key, value in section.items():
        if unmarked(str(key)) == "repos" and isinstance(value, Mapping):
            found[key] = {name: placed(one) for name, one in value.items()}
        elif unmarked(str(key)) == "repos" and isinstance(value, list):
            found[key] = [placed(one) for one in value]
    return found
