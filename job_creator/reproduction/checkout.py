"""Files of the repository as a commit has them, from the checkout that `jc` runs in, or else from the server."""

from __future__ import annotations

import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from foundation.doors.git import archive, fetch_commit, has_commit
from foundation.errors import DamagedError, NotThereError, naming

_SECONDS: Final = 600.0


def place_files(commit: str, paths: Sequence[str], checkout: Path, url: str, target: Path) -> None:
    """Put files and folders of a commit below a folder.

    Without `url` only the checkout is asked. Raises `CouldNotAskError` if neither the checkout has the commit nor the
    server hands it out, `NotThereError` if the commit lacks one of them, and `DamagedError` for files that lead out.
    """
    if not paths:
        return
    if not commit:
        raise NotThereError(f"it is not known of which commit {', '.join(paths)} were")
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        source = checkout
        if not has_commit(checkout, commit):
            if not url:
                raise NotThereError(f"{checkout}: has no commit {commit}; fetch it, or name its checkout: jc -C FOLDER")
            source = work / "repository"
            fetch_commit(url, commit, source, _SECONDS)
        archive(source, commit, paths, work / "files.tar")
        try:
            with naming(target), tarfile.open(work / "files.tar") as opened:
                opened.extractall(target, filter="data")
        except tarfile.TarError as error:
            raise DamagedError(f"commit {commit}: {error}") from None
