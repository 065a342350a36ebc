"""Tests leave nothing running: not when they are killed, and not without being told of it when they are not."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.samples import REPOSITORY

STARTS = """\
import subprocess
import time
from pathlib import Path

from tests.programs import program


def test_something() -> None:
    subprocess.Popen([program("moto_server"), "--port", "0"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    daemon = "setsid sh -c 'sleep 600 & sleep 600' > /dev/null 2>&1 &"
    subprocess.run(["sh", "-c", daemon], check=True)
    {agent}
    Path("started").touch()
    {then}
"""
AGENT = """\
home = Path(__file__).parent / "ring"
    home.mkdir(mode=0o700)
    subprocess.run(["gpg-connect-agent", "--homedir", str(home), "/bye"], check=False)"""


def start(folder: Path, then: str) -> subprocess.Popen[str]:
    """A test process that starts a server, a daemon with a child, and a gpg-agent, where there is one."""
    agent = AGENT if shutil.which("gpg-connect-agent") else ""
    (folder / "test_it.py").write_text(STARTS.format(agent=agent, then=then))
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-c", "/dev/null", "--rootdir", str(folder)]
    return subprocess.Popen(
        [*command, "-p", "no:cacheprovider", "--basetemp", str(folder / "inner"), str(folder / "test_it.py")],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def running(folder: Path) -> set[str]:
    """The programs that name a folder on their command line or in their environment."""
    found: set[str] = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            command = (process / "cmdline").read_bytes()
            told = command
            with suppress(PermissionError):
                told += (process / "environ").read_bytes()
            if command and bytes(folder) in told:
                found.add(os.fsdecode(command.replace(b"\0", b" ")))
    return found


def wait(folder: Path, condition: str) -> None:
    end = time.monotonic() + 60
    while not (folder / condition).exists():
        assert time.monotonic() < end, condition
        time.sleep(0.05)


def test_a_test_process_that_is_killed_leaves_nothing_running(tmp_path: Path) -> None:
    with start(tmp_path, "time.sleep(600)") as process:
        wait(tmp_path, "started")
        assert len(running(tmp_path)) >= 3
        process.send_signal(signal.SIGKILL)
        end = time.monotonic() + 30
        while found := running(tmp_path):
            assert time.monotonic() < end, found
            time.sleep(0.05)


def test_what_a_test_leaves_running_is_a_fault_and_is_ended(tmp_path: Path) -> None:
    with start(tmp_path, "") as process:
        told, _ = process.communicate()
    assert process.returncode == pytest.ExitCode.TESTS_FAILED
    assert "left running: " in told
    assert "sleep 600" in told
    assert running(tmp_path) == set()
