"""What ranks of compile pools leave behind, and take away."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import pytest

from job_creator.compile_pool.rank import OLD, POOLS, tidy, tidy_after_others


@pytest.fixture(name="temporary")
def temporary_fixture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def made(folder: Path, name: str, age: float = 0.0) -> Path:
    path = folder / name
    path.mkdir()
    (path / "text").write_text("int x;")
    os.utime(path, (time.time() - age, time.time() - age))
    return path


def test_only_what_is_old_and_of_a_pool_is_removed(temporary: Path) -> None:
    gone = made(temporary, f"{POOLS}0a1b2c3d-x", OLD + 60)
    young = made(temporary, f"{POOLS}0a1b2c3e-x", OLD - 60)
    other = made(temporary, "somebody-else", OLD + 60)
    link = temporary / f"{POOLS}0a1b2c3f-x"
    link.symlink_to(other)
    os.utime(link, (0, 0), follow_symlinks=False)
    tidy_after_others()
    assert [path.exists() for path in (gone, young, other, link)] == [False, True, True, True]
    assert (other / "text").exists()


def test_a_pool_takes_away_its_own(temporary: Path) -> None:
    gone, other = made(temporary, f"{POOLS}0a1b2c3d-x"), made(temporary, f"{POOLS}0a1b2c3e-x")
    tidy(f"{POOLS}0a1b2c3d")
    assert (gone.exists(), other.exists()) == (False, True)
