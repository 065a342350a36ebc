"""Agents of key rings end with the rings."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from foundation.openpgp.ring import ring_folder
from tests.integration.components import require


def test_the_agent_of_a_ring_ends_with_it(components: None) -> None:
    # The path of its socket has to be short.
    folder = Path(os.environ["TMPDIR"]) / "ring"
    ask = [require("gpg-connect-agent"), "--homedir", str(folder)]
    with ring_folder(folder):
        assert folder.stat().st_mode & 0o777 == 0o700
        told = subprocess.run([*ask, "GETINFO pid", "/bye"], capture_output=True, text=True, check=True).stdout
        number = int(told.split()[1])
        assert is_running(number)
    # It says that it will end before it does.
    end = time.monotonic() + 10
    while is_running(number):
        assert time.monotonic() < end
        time.sleep(0.01)


def is_running(number: int) -> bool:
    """A process that nobody waited for yet has ended, too."""
    status = Path(f"/proc/{number}/stat")
    return status.exists() and ") Z " not in status.read_text()
