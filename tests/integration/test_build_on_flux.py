"""`jc build --engine flux`: with a stand-in that answers as Flux does, and with Flux where it is installed."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.build_project import BuildProject
from tests.build_runs import EIGHT
from tests.flux import private_flux, stand_in

OPTIONS = ("--engine", "flux", "-j", "1")


@pytest.fixture(name="project")
def project_fixture(tmp_path: Path) -> BuildProject:
    return BuildProject.made(tmp_path, environment=stand_in(tmp_path / "flux"), options=OPTIONS)


def waited_for(is_so: Callable[[], bool], seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.1)


def test_all_is_built_once_and_a_second_run_builds_nothing(project: BuildProject) -> None:
    """Also where Flux forgets jobs as soon as they have ended: the records of the steps count."""
    (project.folder / "flux" / "jobs" / "forget").touch()
    told = project.build(SECRET_TOKEN="x", FLUX_JOB_ID="1")
    assert told["complete"]
    assert project.present() == set(EIGHT)
    assert {one["engine"] for one in told["packages"]} == {"flux"}
    assert {tuple(call["leaked"]) for call in project.calls("build")} == {()}
    assert len(project.calls("index")) == 1
    assert project.build(run="again")["to_build"] == 0


def test_a_broken_package_keeps_its_dependents_from_being_built(project: BuildProject) -> None:
    project.tell("fail-g3")
    assert project.states(project.build(code=12)) == {
        **dict.fromkeys(("g1", "g2", "g4"), "built"),
        "g3": "failed",
        **dict.fromkeys(("g5", "g6", "g7", "g8"), "skipped"),
    }


def test_what_waits_for_a_job_that_failed_already_is_refused_and_skipped(project: BuildProject) -> None:
    project.tell("fail-g1")
    project.tell("slow-g1", "1")
    told = project.build("--max-jobs", "2", code=12)
    assert project.states(told) == {"g1": "failed", **dict.fromkeys(EIGHT.keys() - {"g1"}, "skipped")}


def test_a_lost_node_repeats_what_it_had_and_all_that_waited_for_it(project: BuildProject) -> None:
    """Flux queues nothing anew, and what waited for the job fails with it."""
    (project.folder / "flux" / "jobs" / "lose-g2").touch()
    told = project.build()
    assert told["complete"]
    assert {one["package"]: one["attempt"] for one in told["packages"]} == {**dict.fromkeys(EIGHT, 1), "g2": 2}
    assert sorted(call["package"] for call in project.calls("build")) == sorted(EIGHT)


def test_a_run_is_cancelled_with_its_jobs(project: BuildProject) -> None:
    project.tell("slow-g3", "60")
    with project.started() as driver:
        waited_for(lambda: project.present() == {"g1", "g2", "g4"} and bool(project.calls("build")))
        driver.kill()
    with pytest.raises(AssertionError, match="Flux still has 5 jobs that fill"):
        project.build(run="second")
    done = subprocess.run(
        project.jc("build", "cancel", str(project.folder / "run")),
        env=project.variables(),
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "cancelled 5 jobs\n"
    (project.notes / "slow-g3").unlink()
    waited_for(lambda: not list((project.folder / "scratch").glob("*/*/busy")))
    told = project.build(run="third")
    assert project.states(told) == dict.fromkeys(("g3", "g5", "g6", "g7", "g8"), "built")


def test_what_flux_refuses_is_told(project: BuildProject) -> None:
    done = subprocess.run(
        project.command("--submit-option=--queue=no-such-queue"),
        env=project.variables(),
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 5
    assert "Invalid queue 'no-such-queue'" in done.stderr


@pytest.mark.usefixtures("components")
@pytest.mark.skipif(shutil.which("flux") is None, reason="flux is not installed; Debian and PyPI have no package of it")
class TestRealFlux:
    """The same with two brokers on this machine."""

    @pytest.fixture(name="real")
    def real_fixture(self, tmp_path: Path) -> Iterator[BuildProject]:
        with private_flux(tmp_path) as variables:
            yield BuildProject.made(tmp_path / "project", environment=variables, options=OPTIONS)

    def test_all_is_built_and_a_broken_one_is_told(self, real: BuildProject) -> None:
        real.tell("fail-g6")
        told = real.build(code=12)
        assert real.states(told) == {**dict.fromkeys(EIGHT, "built"), "g6": "failed", "g8": "skipped"}
        assert {tuple(call["leaked"]) for call in real.calls("build")} == {()}
        (real.notes / "fail-g6").unlink()
        assert real.build(run="again")["built"] == 2
