"""Programs that come with requirements-dev.txt, such as shellcheck and hadolint."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Final

FOLDER: Final = Path(sys.executable).parent
"""Where pip puts programs: beside the interpreter, which need not be on PATH."""


def program(name: str) -> str:
    """The path of one of them, never that of one which somebody installed on this machine."""
    path = shutil.which(name, path=str(FOLDER))
    assert path, f"{FOLDER / name}: is not there; it comes with requirements-dev.txt"
    return path
