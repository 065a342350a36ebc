"""Agents of key rings end with the rings."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from foundation.openpgp.ring import ring_folder
from tests.ended import has_ended
from tests.integration.components import require


def test_the_agent_of_a_ring_ends_with_it(components: None) -> None:
    # The path of its socket has to be short.
    folder = Path(os.environ["TMPDIR"]) / "ring"
    ask = [require("gpg-connect-agent"), "--homedir", str(folder)]
    with ring_folder(folder):
        assert folder.stat().st_mode & 0o777 == 0o700
        told = subprocess.run([*ask, "GETINFO pid", "/bye"], capture_output=True, text=True, check=True).stdout
        number = int(told.split()[1])
        assert not has_ended(number, seconds=0)
    # It says that it will end before it does.
    assert has_ended(number)
