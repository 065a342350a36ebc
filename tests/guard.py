"""What this repository ships is read by the tests of `tests/test_shipped.py` alone: any other would fail in a fork."""

from __future__ import annotations

import os
import sys
from typing import Any, Final

from tests.samples import A_SITES_OWN, REPOSITORY

ONLY: Final = "tests/test_shipped.py"
_EVENTS: Final = frozenset(("open", "os.listdir", "os.scandir"))
_OWN: Final = tuple(str(REPOSITORY / name) for name in A_SITES_OWN)


def _look(event: str, arguments: tuple[Any, ...]) -> None:
    """Sees every file and folder that this process opens, so a test fails by whatever it reads them with."""
    if event not in _EVENTS or not isinstance(arguments[0], str | bytes | os.PathLike):
        return
    given = os.fsdecode(arguments[0])
    if event == "open" and arguments[1] is None and not given.startswith("/"):
        return  # By os.open: relative to a folder that is open already, as where a tree is removed.
    path = os.path.abspath(given)  # noqa: PTH100 - pathlib would be slower, and this sees everything
    is_own = path.startswith(_OWN) and any(path == own or path.startswith(f"{own}/") for own in _OWN)
    if is_own and not os.environ.get("PYTEST_CURRENT_TEST", "").startswith(ONLY):
        raise AssertionError(f"{path}: is what this repository ships; use FROZEN_SITE, or test it in {ONLY}")


sys.addaudithook(_look)
