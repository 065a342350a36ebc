"""`jc build --compile-on mpi`: ranks compile a package, on this machine and in a job of Slurm."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.build_project import BuildProject
from tests.integration.components import require
from tests.integration.slurm import private_slurm

pytestmark = pytest.mark.xdist_group("slurm")


def pooled(folder: Path, **more: Any) -> BuildProject:
    """Two packages that compile something; the first one took an hour."""
    require("gcc")
    project = BuildProject.made(folder, {"g1": (), "g2": ("g1",)}, **more)
    (folder / "durations.json").write_text(json.dumps({"g1": 3600, "g2": 60}))
    for name in ("g1", "g2"):
        project.tell(f"compile-{name}.c", f"int {name};\n")
    return project


def command(project: BuildProject, *arguments: str) -> list[str]:
    """`jc build` away from any site file."""
    told = ["--compile-on", "mpi", "--ranks", "2", "--durations", str(project.folder / "durations.json")]
    words = project.command(*told, *arguments)
    return [*words[:3], "-C", str(project.folder), *words[3:]]


def build(project: BuildProject) -> dict[str, Any]:
    environment = project.variables(SECRET_TOKEN="x")
    (project.folder / "temporary").mkdir(exist_ok=True)
    environment["TMPDIR"] = str(project.folder / "temporary")
    done = subprocess.run(
        command(project, "--json"), env=environment, cwd=project.folder, capture_output=True, text=True, check=False
    )
    logs = [path.read_text() for path in project.folder.rglob("log.txt")]
    assert done.returncode == 0, (done.stdout, done.stderr, logs)
    assert "compiled on 2 ranks each: g1\n" in done.stderr
    assert not list((project.folder / "temporary").glob("jc-pool-*"))
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def compiles(project: BuildProject) -> list[dict[str, Any]]:
    """What became of all compiles that had a pool."""
    logs = project.folder.rglob("compiles.jsonl")
    return [json.loads(line) for path in logs for line in path.read_text().splitlines()]


def require_pooled(project: BuildProject, told: dict[str, Any], jobs: Sequence[int]) -> None:
    assert project.states(told) == {"g1": "built", "g2": "built"}
    assert [(Path(one["file"]).name, one["rank"], one["why"]) for one in compiles(project)] == [("compile-g1.c", 1, "")]
    assert all((project.notes / f"{name}.o").exists() for name in ("g1", "g2"))
    assert [(call["jobs"], call["leaked"]) for call in project.calls("build")] == [(number, []) for number in jobs]


def test_what_took_long_is_compiled_on_ranks(components: None, tmp_path: Path) -> None:
    project = pooled(tmp_path, options=("-j", "2"))
    require_pooled(project, build(project), (4, 2))


def test_a_job_of_slurm_has_room_for_the_ranks(components: None, tmp_path: Path) -> None:
    with private_slurm(tmp_path / "slurm", cores=2) as slurm:
        options = ("-j", "1", "--engine", "slurm")
        project = pooled(tmp_path / "project", environment=slurm.environment, options=options)
        require_pooled(project, build(project), (3, 1))


def waited_for(is_so: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_package_with_a_pool_ends_with_the_run(components: None, tmp_path: Path, number: int) -> None:
    project = pooled(tmp_path, options=("-j", "2"))
    project.tell("slow-g1", "60")
    (tmp_path / "temporary").mkdir()
    environment = {**project.variables(), "TMPDIR": str(tmp_path / "temporary")}
    with subprocess.Popen(command(project), env=environment, cwd=tmp_path, stderr=subprocess.PIPE) as driver:
        waited_for(lambda: bool(project.calls("build")))
        os.kill(driver.pid, number)
        driver.communicate(timeout=60)
    waited_for(lambda: not list((tmp_path / "temporary").glob("jc-pool-*")))
    waited_for(lambda: not _at_work(str(tmp_path)))
    assert project.present() == set()


def _at_work(folder: str) -> list[str]:
    """Processes that were told of a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        found += [words] if folder in words and int(path.name) != os.getpid() else []
    return found
