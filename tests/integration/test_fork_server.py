"""A program that the fork server starts is like one that a shell starts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from foundation.errors import ExitCode
from tests.integration.fork_server import quick_programs_fixture as quick_programs_fixture


@pytest.mark.parametrize("arguments", [["--version"], ["check", "--format", "no-such"], ["plan"]], ids=str)
def test_it_does_what_python_does(arguments: list[str], quick_programs: Path, tmp_path: Path) -> None:
    environment = {"PATH": "/usr/bin:/bin", "COLUMNS": "60", "LC_ALL": "C.UTF-8"}

    def run(folder: Path) -> tuple[int, str, str]:
        command = [str(folder / "jc"), *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    assert run(quick_programs) == (installed := run(Path(sys.executable).parent))
    assert any(installed[1:])


def test_files_of_the_shell_are_its_files(quick_programs: Path, tmp_path: Path) -> None:
    script = (
        f"'{quick_programs}/jc' schema site | head --bytes 1 > one; '{quick_programs}/ga' --nothing 2> two; echo $?"
    )
    done = subprocess.run(["sh", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == f"{ExitCode.USAGE:d}\n"
    assert (tmp_path / "one").read_text() == "{"
    assert "--nothing" in (tmp_path / "two").read_text()
