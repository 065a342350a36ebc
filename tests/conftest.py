"""What all tests run under."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import click
import pytest
from hypothesis import settings

from job_creator.command_line import Command
from job_creator.errors import SpacktainersError

pytest_plugins = ["pytester", "tests.integration.components"]

# The same examples every time, a few here and more in CI; "thorough" looks for new ones.
settings.register_profile("default", deadline=None, max_examples=20, derandomize=True)
settings.register_profile("ci", deadline=None, max_examples=100, derandomize=True)
settings.register_profile("thorough", deadline=None, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@pytest.fixture(autouse=True)
def _outside_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the variables of the CI job that it runs in, nor how wide the terminal is."""
    for name in list(os.environ):
        if name.startswith(("CI_", "GITLAB_", "SPACKTAINERS_FORCE", "SPACKTAINERS_ONLY", "COLUMNS")):
            monkeypatch.delenv(name)


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
