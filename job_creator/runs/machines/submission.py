"""Writing the scripts of an allocation, and giving it to its scheduler."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from foundation.doors.files import write_files
from foundation.doors.processes import ProcessError, run
from foundation.errors import CouldNotAskError
from job_creator.runs.machines.allocation import Allocation

_SECONDS: Final = 120.0


def write_scripts(allocation: Allocation) -> tuple[str, ...]:
    """Write its scripts into its folder; their paths. Raises `FileAccessError`."""
    folder = Path(allocation.folder)
    scripts = allocation.scripts()
    write_files(folder, {name: text.encode() for name, text in scripts.items()})
    return tuple(str(folder / name) for name in scripts)


def submit(allocation: Allocation) -> str:
    """Ask for it; the id that the scheduler gives to it. What it needs of the environment comes along.

    Raises `NotReadyError` without the scheduler's command, and `CouldNotAskError`.
    """
    try:
        said = run(allocation.submission, seconds=_SECONDS)
    except ProcessError as error:
        raise CouldNotAskError(f"the allocation was not taken: {error}") from None
    return said.strip().splitlines()[-1].partition(";")[0] if said.strip() else ""
