"""A folder for tests whose programs run as other users."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(name="reachable")
def reachable_fixture(tmp_path: Path) -> Path:
    """A folder that all users get to. The folders above stay open: other tests are in them at the same time."""
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_mode & 0o777 == 0o700:
            folder.chmod(0o711)
    return tmp_path
