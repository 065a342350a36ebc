"""`jc build --engine ray`, on a cluster of the run's own."""

from __future__ import annotations

import importlib.util
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.build_project import BuildProject
from tests.build_runs import EIGHT

pytestmark = [
    pytest.mark.xdist_group("ray"),
    pytest.mark.usefixtures("components"),
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray is not installed; 'make ray' does it"),
]
RAY = ("--engine", "ray", "-j", "1")


def waited_for(is_so: Callable[[], bool], seconds: float = 90.0) -> None:
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.1)


def at_work(folder: Path) -> list[str]:
    """The processes of Ray whose environment names a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if b"ray-token" in (told := (process / "environ").read_bytes()) and os.fsencode(folder) in told:
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return [command for command in found if command]


def test_a_cluster_of_the_runs_own_ends_with_it_however_it_ends(tmp_path: Path) -> None:
    project = BuildProject.made(tmp_path, options=RAY)
    project.tell("slow-g3", "60")
    with project.started() as driver:
        waited_for(lambda: any(call["package"] == "g3" for call in project.calls("build")))
        token = project.folder / "run" / "ray-token"
        assert token.stat().st_mode & 0o777 == 0o600
        secret = token.read_text()
        assert not [command for command in at_work(tmp_path) if secret in command]
        driver.kill()
    waited_for(lambda: not at_work(tmp_path))
    done = project.present()
    assert "g3" not in done
    (project.notes / "slow-g3").unlink()
    told = project.build(run="again")
    assert project.states(told) == dict.fromkeys(EIGHT.keys() - done, "built")
    assert {one["engine"] for one in told["packages"]} == {"ray"}
    assert {tuple(call["leaked"]) for call in project.calls("build")} == {()}
    assert not at_work(tmp_path)
