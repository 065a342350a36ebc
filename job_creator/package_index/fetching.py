"""Fetches the Spack and the recipes that the site file pins, to index them where no Spack is."""

from __future__ import annotations

import json
import logging
import tempfile
from pathlib import Path
from typing import Final

from foundation.doors.files import read_file, write_files
from foundation.doors.git import fetch_commit, resolve
from foundation.errors import FileAccessError, InvalidInputError, NotThereError
from foundation.spack.package_index import PackageIndex, read_package_index
from foundation.spack.program import SpackProgram
from job_creator.package_index.building import IndexBuilt, build
from job_creator.site.spack import GitSource, Spack

_SECONDS: Final = 1800.0

logger = logging.getLogger(__name__)


def fetched(spack: Spack, known: Path) -> IndexBuilt:
    """The index of the pinned recipes: what the file `known` has, or one that is made with the pinned Spack.

    Raises `CouldNotAskError` if a repository or Spack does not answer, and `NotThereError` for a ref that is not there.
    """
    recipes = spack.packages or GitSource(repository=spack.repository, ref=spack.ref)
    commit = _commit(recipes)
    content = _read(known)
    if content and (index := _index(content, known)) and index.commit == commit and recipes.ref in index.refs:
        logger.info("%s is of %s already", known, commit)
        return IndexBuilt(
            content, commit, tuple(sorted(index.refs)), len(index.names) - len(index.virtuals), len(index.virtuals)
        )
    with tempfile.TemporaryDirectory(prefix="jc-index-") as name:
        return build(_fetch(spack, commit, Path(name)), commit, (recipes.ref,))


def _fetch(spack: Spack, recipes_commit: str, folder: Path) -> SpackProgram:
    root = folder / "spack"
    spack_commit = _commit(GitSource(repository=spack.repository, ref=spack.ref)) if spack.packages else recipes_commit
    fetch_commit(spack.repository, spack_commit, root, _SECONDS)
    scope = folder / "configuration"
    scope.mkdir()
    if spack.packages:
        recipes = folder / "packages"
        fetch_commit(spack.packages.repository, recipes_commit, recipes, _SECONDS)
        place = {"builtin": str(recipes / "repos" / "spack_repo" / "builtin")}
        write_files(scope, {"repos.yaml": json.dumps({"repos:": place}).encode()})
    # Nothing of this machine's configuration is asked, and nothing is left at home.
    variables = {"SPACK_DISABLE_LOCAL_CONFIG": "1", "SPACK_USER_CACHE_PATH": str(folder / "cache")}
    return SpackProgram(str(root / "bin" / "spack"), variables, (scope,))


def _commit(source: GitSource) -> str:
    commit = resolve(source.repository, source.ref)
    if not commit:
        raise NotThereError(f"{source.repository} has no branch, tag or commit {source.ref!r}")
    return commit


def _read(file: Path) -> bytes:
    try:
        return read_file(file) if file.is_file() else b""
    except FileAccessError:
        return b""


def _index(content: bytes, file: Path) -> PackageIndex | None:
    try:
        return read_package_index(content, str(file))
    except InvalidInputError:
        return None
