"""The git repositories in a mirror, which git itself knows how to check."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from foundation.doors.processes import ProcessError, run
from foundation.errors import CouldNotAskError
from foundation.stores.folder import FileSystemStore
from job_creator.mirrors.findings import FindingKind, MirrorFinding
from job_creator.mirrors.view import View

_REPOSITORY: Final = re.compile(r"(recipes/[^/]+)/HEAD")
_SECONDS: Final = 3600.0


def repositories(view: View) -> tuple[str, ...]:
    """The folders of the repositories in a mirror that lies in a folder; elsewhere git cannot read them either."""
    if not isinstance(view.store, FileSystemStore):
        return ()
    return tuple(sorted(match[1] for key in view.objects if (match := _REPOSITORY.fullmatch(key))))


def check_repositories(view: View) -> Iterator[MirrorFinding]:
    """What is wrong with the git repositories of a mirror: objects that are missing, or differ from their names.

    Raises `CouldNotAskError` without git.
    """
    for folder in repositories(view):
        # Who verifies a mirror need not be who made it.
        git = ("git", "-c", "safe.directory=*", f"--git-dir={view.store.url}/{folder}")
        try:
            run((*git, "fsck", "--full", "--no-dangling", "--no-progress"), seconds=_SECONDS)
        except ProcessError as error:
            if error.exit_code is None:
                raise CouldNotAskError(f"{folder}: {error}") from None
            said = str(error).partition(" failed: ")[2].splitlines()
            yield MirrorFinding(FindingKind.CHECKSUM, folder, f"git fsck: {said[0] if said else error}")
