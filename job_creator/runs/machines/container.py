"""Builds in a container of Apptainer or Singularity: one around each step, and nothing else of a run is in it."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from foundation.doors.processes import ProcessError, run
from foundation.errors import NotReadyError

PYTHON: Final = "python3"
"""Runs a step in a container; what it runs takes any from 3.7 on."""
_PROGRAMS: Final = ("apptainer", "singularity")
_SECONDS: Final = 300.0
"""For the first start of an image, which may be unpacked for it."""
_NAMESPACES: Final = Path("/proc/sys/user/max_user_namespaces")


@dataclass(frozen=True)
class StepContainer:
    """An image, and the folders of the machine that are seen in it under the same paths."""

    program: str
    """`apptainer`, or `singularity`, by which older ones go."""
    image: str
    """A path that all machines of a run see."""
    folders: tuple[str, ...]
    """Each as `--bind` takes it: a path, or `outside:inside`."""

    @property
    def argv(self) -> tuple[str, ...]:
        """What stands before a program that is to run in it. It gets the variables of whoever starts it."""
        return (self.program, "exec", *(f"--bind={folder}" for folder in self.folders), self.image)


def step_container(image: Path, folders: Iterable[str]) -> StepContainer:
    """A container for steps; folders that lie below others are left out. Raises `NotReadyError` without Apptainer."""
    program = next((name for name in _PROGRAMS if shutil.which(name)), None)
    if program is None:
        raise NotReadyError("apptainer: is not installed; install it, or build without --container")
    kept: list[str] = []
    for folder in sorted(set(folders)):
        if not any(folder.startswith(f"{above}/") for above in kept):
            kept.append(folder)
    return StepContainer(program, str(image.absolute()), tuple(kept))


def require_container(container: StepContainer) -> None:
    """Start a container on this machine. Raises `NotReadyError`, with the likely cause, if that does not work."""
    check = "import sys; sys.exit('python3 there is older than 3.7' if sys.version_info < (3, 7) else 0)"
    try:
        run([*container.argv, PYTHON, "-c", check], seconds=_SECONDS)
    except ProcessError as error:
        raise NotReadyError(f"{container.image}: cannot be started here: {error}{_cause()}") from None


def _cause() -> str:
    """What keeps containers from being started without root on many clusters."""
    try:
        most = _NAMESPACES.read_text(encoding="ascii").strip()
    except OSError:
        return ""
    return f"; this machine allows no user namespaces ({_NAMESPACES} is 0)" if most == "0" else ""
