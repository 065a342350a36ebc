"""A Flux for tests: the stand-in, or a real one of two brokers where `flux` is installed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.samples import REPOSITORY

FAKE = REPOSITORY / "tests" / "fakes" / "flux.py"


def stand_in(folder: Path) -> dict[str, str]:
    """Write a program `flux` that keeps its jobs below a folder; the variables with which it is found."""
    programs, jobs = folder / "programs", folder / "jobs"
    for one in (programs, jobs):
        one.mkdir(parents=True)
    program = programs / "flux"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -SE {FAKE} {jobs} "$@"\n')
    program.chmod(0o755)
    return {"PATH": f"{programs}:{os.environ['PATH']}"}


@contextmanager
def private_flux(folder: Path) -> Iterator[dict[str, str]]:
    """Start a Flux of two brokers; the variables with which it is found."""
    flux = shutil.which("flux")
    assert flux is not None
    told = folder / "uri"
    inner = f"flux getattr local-uri > {told}.new && mv {told}.new {told} && exec sleep 900"
    with subprocess.Popen([flux, "start", "-s", "2", "sh", "-c", inner], start_new_session=True) as process:
        try:
            until = time.monotonic() + 60
            while not told.exists():
                assert time.monotonic() < until
                assert process.poll() is None
                time.sleep(0.1)
            yield {"FLUX_URI": told.read_text().strip()}
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(60)
