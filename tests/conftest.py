"""What all tests run under."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from hypothesis import settings
from urllib3.util import Retry

from foundation.command_line import Command
from foundation.errors import SpacktainersError
from tests import leftovers
from tests.surroundings import default_signals, surroundings

pytest_plugins = ["pytester", "tests.integration.components", "tests.guard"]

# The same examples every time, a few here and more in CI; "thorough" looks for new ones.
settings.register_profile("default", deadline=None, max_examples=10, derandomize=True)
settings.register_profile("ci", deadline=None, max_examples=100, derandomize=True)
settings.register_profile("thorough", deadline=None, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Half as many again as there are processors, because tests wait for servers a quarter of their time."""
    return len(os.sched_getaffinity(0)) * 3 // 2 or 1


@pytest.fixture(autouse=True, scope="session")
def _surroundings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The same for all, wherever they are run: environment, home, temporary folder, signals, modes of new files."""
    folder = tmp_path_factory.getbasetemp()
    environment = surroundings(os.environ, folder)
    for name in ("HOME", "TMPDIR"):
        Path(environment[name]).mkdir()
    umask = os.umask(0o022)
    with pytest.MonkeyPatch.context() as patch, default_signals():
        for name in set(os.environ) - set(environment):
            patch.delenv(name)
        for name, value in environment.items():
            patch.setenv(name, value)
        patch.setattr(tempfile, "tempdir", environment["TMPDIR"])
        yield
    os.umask(umask)


@pytest.fixture(autouse=True, scope="session")
def _nothing_is_left_running(tmp_path_factory: pytest.TempPathFactory, _surroundings: None) -> Iterator[None]:
    """What outlives its test is a fault of that test, and is ended, also when this process is killed."""
    command = [sys.executable, leftovers.__file__, str(tmp_path_factory.getbasetemp())]
    watcher = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, text=True
    )
    with watcher:
        yield
        told, _ = watcher.communicate("done")
    assert told.strip() == "", f"left running: {told}"


@pytest.fixture(autouse=True)
def _commands_end_with_codes_that_they_list(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever code a command ends with in any test stands in its help."""
    unlisted: list[str] = []
    run = Command.invoke

    def invoke(self: Command, ctx: click.Context) -> Any:
        try:
            return run(self, ctx)
        except (click.exceptions.Exit, SpacktainersError, SystemExit) as end:
            code = int((end.code if isinstance(end, SystemExit) else end.exit_code) or 0)
            # Signals end a command with 128 and more.
            if code not in self.exit_codes and code < 128:
                unlisted.append(f"{ctx.command_path}: {code}")
            raise

    monkeypatch.setattr(Command, "invoke", invoke)
    yield
    assert not unlisted


@pytest.fixture(autouse=True, name="pauses")
def pauses_fixture(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that HTTP clients wanted to wait before they asked again. No test waits for them."""
    wanted: list[float] = []
    real = Retry.get_backoff_time

    def note(self: Retry) -> float:
        wanted.append(real(self))
        return 0.0

    monkeypatch.setattr(Retry, "get_backoff_time", note)
    return wanted
