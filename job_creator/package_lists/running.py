"""What `jc packages lock` does: from a list of packages to a folder of lockfiles."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from foundation.doors.exclusive import held
from foundation.progress import counted_progress
from foundation.spack.program import SpackProgram
from job_creator.package_lists.folder import LockFailure, LockFolder
from job_creator.package_lists.lists import PackageList
from job_creator.package_lists.solving import Solvers, describe


@dataclass(frozen=True, slots=True)
class LockRequest:
    """How a list is to be concretized."""

    folder: Path
    jobs: int
    seconds: float
    """For each."""
    again: frozenset[str] = frozenset()
    """Classes of failures that are tried once more."""
    quiet: bool = False
    before: tuple[str, ...] = ()
    """Words before each worker's Spack; see `solving.Solvers`."""


@dataclass(frozen=True, slots=True)
class LockResult:
    """What is in the folder afterwards."""

    locked: int
    """Now."""
    present: int
    """Lockfiles that were there before."""
    failures: tuple[LockFailure, ...]
    """All, in the order in which they happened."""

    @property
    def classes(self) -> dict[str, int]:
        """How many failures there are of each class."""
        return dict(sorted(Counter(one.kind for one in self.failures).items()))


def lock(wanted: PackageList, spack: SpackProgram, request: LockRequest) -> LockResult:
    """Concretize what has neither a lockfile nor a failure yet. Each result is written at once.

    Raises `NotReadyError` while another run is at work there, `RefusedError` where the folder is of something else,
    `CouldNotAskError` and `FileAccessError`.
    """
    folder = LockFolder(request.folder.absolute())
    with held(folder.work / "held"):
        described = describe(spack, wanted.environment, folder.work / "described")
        wishes = wanted.wishes(described.specs)
        fingerprint = wanted.fingerprint(described.version)
        folder.claim(wanted.name, fingerprint, wishes, wanted.section, wanted.definition.collect)
        names = {one.name for one in wishes}
        kept = [one for one in folder.failures().values() if one.name in names and one.kind not in request.again]
        folder.keep_failures(kept)
        present = folder.locked() & names
        todo = [one for one in wishes if one.name not in present | {failure.name for failure in kept}]
        with counted_progress("concretized", len(todo), quiet=request.quiet) as advance:

            def locked(name: str, content: bytes) -> None:
                folder.add_lock(name, content)
                advance(1, name)

            def failed(failure: LockFailure) -> None:
                folder.add_failure(failure)
                advance(1, f"{failure.name}: {failure.kind}")

            solvers = Solvers(
                spack, wanted.section, described, folder.work, request.jobs, request.seconds, request.before
            )
            solvers.run(todo, locked, failed)
        failures = tuple(one for one in folder.failures().values() if one.name in names)
        result = LockResult(len((folder.locked() & names) - present), len(present), failures)
        _tidy(folder.work)
    return result


def _tidy(work: Path) -> None:
    """Remove what only a run needs."""
    shutil.rmtree(work, ignore_errors=True)
