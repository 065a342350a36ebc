"""Programs that come with requirements-dev.txt, such as shellcheck and hadolint, and those that tests write."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path
from typing import Final

FOLDER: Final = Path(sys.executable).parent
"""Where pip puts programs: beside the interpreter, which need not be on PATH."""


def program(name: str) -> str:
    """The path of one that comes with them, never that of one which somebody installed on this machine."""
    path = shutil.which(name, path=str(FOLDER))
    assert path, f"{FOLDER / name}: is not there; it comes with requirements-dev.txt"
    return path


def write_program(path: Path, code: str) -> None:
    """Make a program of Python code; a first line that names the interpreter could not have spaces in it."""
    start = f"#!/bin/sh\n''':'\nexec {shlex.quote(sys.executable)} \"$0\" \"$@\"\n'''\n"
    path.write_text(start + code)
    path.chmod(0o755)
