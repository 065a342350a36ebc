"""`jc build` on this machine: real processes, a folder as build cache, a stand-in for Spack."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.build_project import BuildProject
from tests.build_runs import EIGHT
from tests.commands import jc
from tests.samples import REPOSITORY


@pytest.fixture(name="project")
def project_fixture(tmp_path: Path) -> BuildProject:
    return BuildProject.made(tmp_path)


def test_all_is_built_once_signed_and_indexed(project: BuildProject) -> None:
    told = project.build("-j", "2", SLURM_JOB_ID="7", SECRET_TOKEN="x")
    assert (told["complete"], told["built"]) == (True, 8)
    assert project.present() == set(EIGHT)
    assert sorted(call["package"] for call in project.calls("build")) == sorted(EIGHT)
    assert len(project.calls("index")) == 1
    assert {call["signed"] for call in project.calls("push")} == {"True"}
    builds = project.calls("build")
    assert {tuple(call["leaked"]) for call in builds} == {()}
    # Two at once, each in a tree of its own.
    assert {call["tree"]["padded_length"] for call in builds} == {128}
    assert len({call["tree"]["root"] for call in builds}) == 2
    assert {call["jobs"] for call in builds} <= {1, 2}
    record = next(one for one in told["packages"] if one["package"] == "g7")
    assert record["engine"] == "local"
    assert record["worker"].endswith(("/0", "/1"))
    assert Path(told["run"], record["log"]).is_file()
    # Nothing stays of the workers' folders.
    assert list((project.folder / "scratch").iterdir()) == []


def test_a_second_run_builds_nothing_and_asks_nobody(project: BuildProject) -> None:
    project.build()
    calls = len((project.notes / "calls").read_text())
    done = jc(
        "build", str(project.folder / "toys.lock"), "--mirror", str(project.mirror), "--spack", str(project.spack)
    )
    assert (done.exit_code, done.stdout) == (0, "0 to build, 8 present, 0 external\n")
    assert len((project.notes / "calls").read_text()) == calls


def test_a_plan_builds_nothing(project: BuildProject) -> None:
    told = project.build("--dry-run", "--only", "g4")
    assert (told["to_build"], told["left_out"]) == (3, 5)
    assert [one["package"] for one in told["packages"]] == ["g1", "g2", "g4"]
    assert not project.mirror.exists()
    assert not (project.folder / "run").exists()


def test_a_broken_package_keeps_only_its_dependents_from_being_built(project: BuildProject) -> None:
    project.tell("fail-g3")
    told = project.build(code=12)
    assert project.states(told) == {
        **dict.fromkeys(("g1", "g2", "g4"), "built"),
        "g3": "failed",
        **dict.fromkeys(("g5", "g6", "g7", "g8"), "skipped"),
    }
    assert [one["blocked"] for one in told["blockers"]] == [4]
    assert len(project.calls("index")) == 1
    failed = next(one for one in told["packages"] if one["package"] == "g3")
    assert (failed["failure"], failed["because"]) == ("own", "it does not build: exit code 1")
    shown = jc("build", "logs", str(project.folder / "run"), "g3")
    assert "g3: no way" in shown.stdout
    status = jc("build", "status", str(project.folder / "run"))
    assert "keeps 4 from being built" in status.stdout


def test_what_ran_out_of_memory_is_built_with_fewer_cores(project: BuildProject) -> None:
    project.tell("memory-g1")
    told = project.build("--only", "g1", "-j", "4")
    assert [call["jobs"] for call in project.calls("build")] == [4, 2]
    (record,) = told["packages"]
    assert (record["state"], record["attempt"]) == ("built", 2)


def test_what_takes_too_long_is_ended(project: BuildProject) -> None:
    project.tell("slow-g1", "60")
    start = time.monotonic()
    told = project.build("--only", "g1", "--hours", str(1 / 3600), code=12)
    assert time.monotonic() - start < 30
    (record,) = told["packages"]
    assert (record["failure"], record["because"]) == ("time", "it was not done within 1 s")


def test_a_full_disk_is_found_before_anything_is_built(project: BuildProject) -> None:
    told = project.build("--only", "g1", "--least-free", "1000000GB", code=12)
    (record,) = told["packages"]
    assert (record["failure"], record["attempt"]) == ("infrastructure", 3)
    assert "GiB are free, at least" in record["because"]
    assert project.calls("build") == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_run_that_was_killed_goes_on(project: BuildProject, number: signal.Signals) -> None:
    project.tell("slow-g3", "60")
    environment = {**os.environ, "XDG_CACHE_HOME": str(project.folder / "home")}
    with subprocess.Popen(
        project.command("-j", "2"), env=environment, cwd=REPOSITORY, stdout=subprocess.PIPE
    ) as driver:
        until = time.monotonic() + 60
        while len(project.present()) < 3 and time.monotonic() < until:
            time.sleep(0.05)
        status = json.loads(jc("build", "status", str(project.folder / "run"), "--json").stdout)
        assert status["driver"] == driver.pid
        if number is signal.SIGTERM:
            assert jc("build", "cancel", str(project.folder / "run")).exit_code == 0
        else:
            driver.kill()
        driver.wait(30)
    # g1, g2 and g4 are there; the worker of g3 ends with the driver, so that nobody else finds it at work.
    assert project.present() == {"g1", "g2", "g4"}
    (project.notes / "slow-g3").unlink()
    told = project.build(run="again")
    assert project.states(told) == dict.fromkeys(("g3", "g5", "g6", "g7", "g8"), "built")
    built = [call["package"] for call in project.calls("push")]
    assert sorted(built) == sorted(EIGHT)
    assert jc("build", "status", str(project.folder / "run")).stdout.startswith("nobody is at work on it")


def test_an_index_that_a_killed_run_left_behind_is_written(project: BuildProject) -> None:
    project.build("--only", "g1")
    index = project.mirror / "v3/manifests/index/index.manifest.json"
    index.unlink()
    told = project.build(run="again")
    assert (told["built"], index.is_file()) == (7, True)
    index.unlink()
    project.build(run="third")
    assert index.is_file()


def test_what_cannot_be_meant_is_told(project: BuildProject) -> None:
    assert project.command("--with-dependents")
    done = subprocess.run(
        project.command("--with-dependents"), cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    project.build("--only", "nothing", code=7)
    project.build("--spack", "no-such-spack", code=8)
    assert jc("build", "cancel", str(project.folder)).exit_code == 7
