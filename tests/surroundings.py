"""What tests see of the machine and the shell that they are started from: no more than is listed here."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final

from tests.programs import FOLDER

SPACK_ROOT: Final = "SPACKTAINERS_SPACK_ROOT"
_KEPT: Final = re.compile(
    # How the tests themselves are run.
    r"PYTEST_\w+|HYPOTHESIS_PROFILE|UPDATE_GOLDEN|COVERAGE_\w+"
    r"|SPACKTAINERS_(REQUIRE_COMPONENTS|ONLINE|SPACK_ROOT|SOURCE_ARCHIVES|DEBIAN_ROOT|APPTAINER_ROOT|ARM64_ROOT|NODE_MODULES)"
    # Without these an interpreter may not start, a registry of packages or a real Spack may not be in reach.
    r"|LD_LIBRARY_PATH|PIP_\w+|SPACK_PYTHON|SPACK_USER_CACHE_PATH"
)
_SYSTEM: Final = "/usr/sbin:/usr/bin:/sbin:/bin"
"""What packages of the system install into; what was put onto this machine by hand is somewhere else."""


def surroundings(outside: Mapping[str, str], folder: Path) -> dict[str, str]:
    """The environment of the tests. Home and temporary files are below `folder`, so all that they start names it."""
    kept = {name: value for name, value in outside.items() if _KEPT.fullmatch(name)}
    if SPACK_ROOT in kept:
        # A real Spack takes minutes to fill its cache, and its settings are elsewhere.
        kept.setdefault("SPACK_USER_CACHE_PATH", str(Path("~/.spack").expanduser()))
    return {
        **kept,
        "PATH": f"{FOLDER}:{_SYSTEM}",
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "tmp"),
        "LC_ALL": "C.UTF-8",
        "GIT_CONFIG_NOSYSTEM": "1",
    }


@contextmanager
def default_signals() -> Iterator[None]:
    """Programs that are started in here do not ignore what this process was told to ignore, by nohup or a shell's `&`.

    A signal that is ignored stays so across exec, one that is handled does not. This process goes on ignoring it.
    """
    ignored = [one for one in _INHERITED if signal.getsignal(one) is signal.SIG_IGN]
    for one in ignored:
        signal.signal(one, _ignore)
    try:
        yield
    finally:
        for one in ignored:
            signal.signal(one, signal.SIG_IGN)


_INHERITED: Final = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)


def _ignore(number: int, frame: FrameType | None) -> None:
    """Do nothing."""
