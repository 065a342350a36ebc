"""Which packages there are in Spack's package repositories on this machine.

A repository is a folder with a `repo.yaml`. Up to Spack 0.23 the built-in one was part of Spack's own clone; since 1.0
it is a clone of its own, in which folders are named like Python modules. Source: `Repo` in lib/spack/spack/repo.py and
`pkg_dir_to_pkg_name` in lib/spack/spack/util/naming.py of Spack v1.1.0.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from foundation.errors import Fault, InvalidInputError, naming

_REPOSITORY: Final = "repo.yaml"
_NOT_SEARCHED: Final = {"test_repos", "lib", "opt", "etc", "share", "bin"}
_DEPTH: Final = 5

logger = logging.getLogger(__name__)

Packages = Mapping[str, frozenset[str]]
"""The names of the packages of each namespace, as `canonical` gives them."""


def canonical(name: str) -> str:
    """A package's name whichever way its folder is called: `_7zip` and `py_numpy` for `7zip` and `py-numpy`."""
    return name.lstrip("_").replace("_", "-")


def read_repositories(folders: Iterable[Path]) -> Packages:
    """The packages of all repositories in these folders: clones of Spack or of its packages, or repositories.

    Raises `InvalidInputError` where there is no repository, or one without packages: a list that cannot be relied on
    must never read as "all packages are gone".
    """
    packages: dict[str, frozenset[str]] = {}
    for namespace, recipes in _read_all(folders):
        packages[namespace] = packages.get(namespace, frozenset()) | frozenset(recipes)
    return packages


def read_recipes(folders: Iterable[Path]) -> dict[tuple[str, str], Path]:
    """The recipe of each package, by namespace and name as `canonical` gives it. Raises as that above."""
    found: dict[tuple[str, str], Path] = {}
    for namespace, recipes in _read_all(folders):
        for name, path in recipes.items():
            found.setdefault((namespace, name), path)
    return found


def _read_all(folders: Iterable[Path]) -> Iterator[tuple[str, dict[str, Path]]]:
    for folder in folders:
        found = list(_repositories(folder))
        if not found:
            hint = "since Spack 1.0 packages are in a repository of their own: give the folder of that one"
            raise InvalidInputError([Fault(str(folder), 1, 1, "no package repository in it", hint)])
        for root in found:
            namespace, recipes = _read(root)
            logger.info("%s: %d packages of namespace %s", root, len(recipes), namespace)
            yield namespace, recipes


def _repositories(folder: Path) -> Iterator[Path]:
    def give_up(error: OSError) -> None:
        with naming(folder):
            raise error

    for root, inner, files in os.walk(folder, onerror=give_up):
        if _REPOSITORY in files:
            inner.clear()
            yield Path(root)
        depth = len(Path(root).relative_to(folder).parts)
        inner[:] = sorted(
            name for name in inner if depth < _DEPTH and name not in _NOT_SEARCHED and not name.startswith(".")
        )


def _read(root: Path) -> tuple[str, dict[str, Path]]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    path = root / _REPOSITORY
    try:
        with naming(path):
            value: Any = YAML(typ="safe").load(path.read_bytes())
            settings = value["repo"]
            namespace, folder = str(settings["namespace"]), str(settings.get("subdirectory", "packages"))
            with os.scandir(root / folder) as entries:
                paths = [path for one in entries if (path := Path(one.path) / "package.py").is_file()]
    except (YAMLError, KeyError, TypeError, AttributeError):
        raise InvalidInputError([Fault(str(path), 1, 1, "not a 'repo.yaml' of Spack")]) from None
    if not paths:
        raise InvalidInputError([Fault(str(path), 1, 1, "a repository without packages", "is the clone complete?")])
    return namespace, {canonical(path.parent.name): path for path in paths}
