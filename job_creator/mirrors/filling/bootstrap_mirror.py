"""What Spack needs before it can do anything, by `spack bootstrap mirror`."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from foundation.doors.processes import ProcessError
from foundation.errors import naming
from foundation.spack.program import SpackProgram
from job_creator.mirrors.configuration.scope import BINARIES_METADATA, BOOTSTRAP_FOLDER
from job_creator.mirrors.contents import order
from job_creator.mirrors.filling.destinations import FolderDestination

_SECONDS: Final = 4 * 3600.0


def put(spack: SpackProgram, destination: FolderDestination) -> str:
    """Let a mirror have the sources and binaries that Spack bootstraps from; returns what went wrong.

    What leads to others gets its final name after them. Nothing is done if it is there.
    """
    if (destination.root / BINARIES_METADATA).is_dir():
        return ""
    staged = destination.staging / "bootstrap"
    with naming(staged):
        if staged.is_dir():
            shutil.rmtree(staged)
        staged.mkdir(parents=True)
    try:
        spack.run("bootstrap", "mirror", "--binary-packages", str(staged), seconds=_SECONDS)
    except ProcessError as error:
        return f"{BOOTSTRAP_FOLDER}: Spack could not fetch all that it bootstraps from: {error}"
    files = sorted(path for path in staged.rglob("*") if path.is_file() and not path.is_symlink())
    keys = {BOOTSTRAP_FOLDER + path.relative_to(staged).as_posix(): path for path in files}
    links = _links(staged)
    for key in sorted(keys, key=order):
        destination.put(keys[key], key, links.get(keys[key], ()))
    shutil.rmtree(staged)
    return ""


def _links(staged: Path) -> dict[Path, tuple[str, ...]]:
    """The readable names of files, by the file."""
    found: dict[Path, tuple[str, ...]] = {}
    for path in sorted(staged.rglob("*")):
        if path.is_symlink() and path.resolve().is_file():
            name = BOOTSTRAP_FOLDER + path.relative_to(staged).as_posix()
            found[path.resolve()] = (*found.get(path.resolve(), ()), name)
    return found
