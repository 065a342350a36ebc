"""Spack itself and its recipes, at the commits of lockfiles, as bare repositories that can be cloned without internet.

Git puts objects in place before anything refers to them, so what is written here can be ended anywhere as well.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from foundation.doors.processes import ProcessError, run
from foundation.errors import CouldNotAskError
from foundation.spack.program import SpackProgram
from job_creator.mirrors.configuration.scope import PACKAGES_REPOSITORY, SPACK_REPOSITORY

_SECONDS: Final = 3600.0
_WHERE: Final = "import spack.repo; print(spack.repo.PATH.get_repo('builtin').root)"


@dataclass(frozen=True, slots=True)
class WantedCommit:
    """A commit that a mirror's repository should have, and the clone on this machine that it comes from."""

    repository: str
    """The key in the mirror."""
    clone: Path
    commit: str


def wanted_commits(spack: SpackProgram, spack_commits: Sequence[str]) -> tuple[WantedCommit, ...]:
    """The commits of Spack that lockfiles name, and the one of the recipes that this Spack uses.

    Raises `CouldNotAskError`.
    """
    try:
        root = Path(spack.run("location", "-r").strip())
        wanted = [WantedCommit(SPACK_REPOSITORY, root, commit) for commit in dict.fromkeys(spack_commits) if commit]
        if spack.line().recipes_apart:
            recipes = Path(spack.run("python", "-c", _WHERE).strip().splitlines()[-1])
            clone = Path(_git(recipes, "rev-parse", "--show-toplevel").strip())
            wanted.append(WantedCommit(PACKAGES_REPOSITORY, clone, _git(clone, "rev-parse", "HEAD").strip()))
    except (ProcessError, ValueError, IndexError) as error:
        raise CouldNotAskError(f"recipes: where they come from cannot be told: {error}") from None
    return tuple(wanted)


def put(root: Path, wanted: Sequence[WantedCommit]) -> dict[WantedCommit, str]:
    """Let the repositories of a mirror have these commits; returns what went wrong, for those where something did."""
    problems = {}
    for one in wanted:
        try:
            _put(root / one.repository, one)
        except ProcessError as error:
            problems[one] = f"{one.repository}: commit {one.commit} could not be put there: {error}"
    return problems


def as_json(wanted: Sequence[WantedCommit], before: bytes | None) -> bytes:
    """For `COMMITS_KEY`: these commits, and those of before."""
    known = json.loads(before) if before else {}
    names = {"spack": SPACK_REPOSITORY, "packages": PACKAGES_REPOSITORY}
    merged = {
        name: list(dict.fromkeys([*(one.commit for one in wanted if one.repository == key), *known.get(name, ())]))
        for name, key in names.items()
    }
    return json.dumps(merged, indent=1).encode() + b"\n"


def _put(repository: Path, wanted: WantedCommit) -> None:
    if not (repository / "HEAD").is_file():
        run(["git", "init", "--quiet", "--bare", "--initial-branch=main", str(repository)], seconds=_SECONDS)
    for key, value in (
        # Spack asks for the commit of its configuration.
        ("uploadpack.allowAnySHA1InWant", "true"),
        # What others add stays readable and writable for the group that the folder belongs to.
        ("core.sharedRepository", "group"),
    ):
        _git(repository, "config", key, value)
    # Without history, which is most of a repository and nothing that an installation needs. A tag keeps the commit.
    tag = f"refs/tags/lock-{wanted.commit}"
    # A clone of another mirror has that tag, too, and git would bring it along by itself.
    options = ("--quiet", "--no-tags", "--depth=1", "--force")
    _git(repository, "fetch", *options, wanted.clone.as_uri(), f"{wanted.commit}:{tag}")
    _git(repository, "update-ref", "refs/heads/main", wanted.commit)


def _git(folder: Path, *arguments: str) -> str:
    # A mirror that is shared belongs to whoever made it first.
    return run(["git", "-c", "safe.directory=*", "-C", str(folder), *arguments], seconds=_SECONDS)
