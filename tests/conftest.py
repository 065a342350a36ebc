"""What all tests run under."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

pytest_plugins = ["pytester", "tests.integration.components"]

# The same examples every time, a few here and more in CI; "thorough" looks for new ones.
settings.register_profile("default", deadline=None, max_examples=20, derandomize=True)
settings.register_profile("ci", deadline=None, max_examples=100, derandomize=True)
settings.register_profile("thorough", deadline=None, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@pytest.fixture(autouse=True)
def _outside_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the variables of the CI job that it runs in."""
    for name in list(os.environ):
        if name.startswith(("CI_", "GITLAB_", "SPACKTAINERS_FORCE", "SPACKTAINERS_ONLY")):
            monkeypatch.delenv(name)
