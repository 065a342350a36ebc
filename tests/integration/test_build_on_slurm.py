"""`jc build --engine slurm` on a private Slurm of two nodes."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.build_project import BuildProject
from tests.build_runs import EIGHT
from tests.integration.slurm import PrivateSlurm, private_slurm

pytestmark = pytest.mark.xdist_group("slurm")


@pytest.fixture(scope="module", name="slurm")
def slurm_fixture(components: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateSlurm]:
    with private_slurm(tmp_path_factory.mktemp("slurm")) as slurm:
        yield slurm


@pytest.fixture(name="project")
def project_fixture(slurm: PrivateSlurm, tmp_path: Path) -> BuildProject:
    return BuildProject.made(tmp_path, environment=slurm.environment, options=("--engine", "slurm", "-j", "1"))


def waited_for(is_so: Callable[[], bool], seconds: float = 90.0) -> None:
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.1)


def same(record: dict[str, Any]) -> dict[str, Any]:
    """What does not depend on the engine."""
    return {key: record[key] for key in ("hash", "package", "version", "environment", "state", "because", "attempt")}


def test_both_nodes_build_what_this_machine_would(project: BuildProject, tmp_path: Path) -> None:
    told = project.build(SECRET_TOKEN="x")
    assert told["complete"]
    assert project.present() == set(EIGHT)
    assert {one["worker"].partition("/")[0] for one in told["packages"]} == {"n1", "n2"}
    builds = project.calls("build")
    assert {tuple(call["leaked"]) for call in builds} == {()}
    assert {call["jobs"] for call in builds} == {1}
    assert len(project.calls("index")) == 1
    assert list((project.folder / "scratch").glob("*/[0-9]")) == []
    here = BuildProject.made(tmp_path / "here").build()
    assert list(map(same, here["packages"])) == list(map(same, told["packages"]))
    start = time.monotonic()
    assert project.build(run="again")["to_build"] == 0
    assert time.monotonic() - start < 10


def test_a_broken_package_keeps_its_dependents_from_being_built(project: BuildProject) -> None:
    project.tell("fail-g3")
    told = project.build(code=12)
    assert project.states(told) == {
        **dict.fromkeys(("g1", "g2", "g4"), "built"),
        "g3": "failed",
        **dict.fromkeys(("g5", "g6", "g7", "g8"), "skipped"),
    }
    because = {one["because"].partition("/")[0] for one in told["packages"] if one["state"] == "skipped"}
    assert because <= {"g3@1.0", "g5@1.0", "g6@1.0"}


def test_no_more_jobs_are_given_than_the_limit_allows(project: BuildProject) -> None:
    assert project.build("--max-jobs", "2", "--only", "g4")["built"] == 3


def test_jobs_go_on_without_the_driver_and_can_be_cancelled(project: BuildProject, slurm: PrivateSlurm) -> None:
    project.tell("slow-g3", "60")
    with project.started() as driver:
        waited_for(lambda: any(call["package"] == "g3" for call in project.calls("build")))
        driver.kill()
    waited_for(lambda: project.present() == {"g1", "g2", "g4"})
    with pytest.raises(AssertionError, match="Slurm still has 5 jobs that fill"):
        project.build(run="second")
    done = subprocess.run(
        project.jc("build", "cancel", str(project.folder / "run")),
        env=project.variables(),
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "cancelled 5 jobs\n"
    waited_for(lambda: slurm.run("squeue", "--noheader") == "")
    (project.notes / "slow-g3").unlink()
    told = project.build(run="third")
    assert project.states(told) == dict.fromkeys(("g3", "g5", "g6", "g7", "g8"), "built")


def test_a_node_that_fails_repeats_exactly_what_it_lost(project: BuildProject, slurm: PrivateSlurm) -> None:
    project.tell("slow-g1", "8")
    with project.started() as driver:
        waited_for(lambda: bool(project.calls("build")))
        node = slurm.run("squeue", "--noheader", "--states=RUNNING", "--format=%N").strip()
        slurm.run("scontrol", "update", f"nodename={node}", "state=down", "reason=test")
        (project.notes / "slow-g1").unlink()
        try:
            assert driver.wait(120) == 0
        finally:
            slurm.run("scontrol", "update", f"nodename={node}", "state=resume")
    assert project.present() == set(EIGHT)
    builds = [call["package"] for call in project.calls("build")]
    assert sorted(builds) == sorted([*EIGHT, "g1"])


def test_a_node_that_is_drained_ends_what_it_has_and_gets_nothing_more(
    project: BuildProject, slurm: PrivateSlurm
) -> None:
    project.tell("slow-g1", "5")
    with project.started() as driver:
        waited_for(lambda: bool(project.calls("build")))
        drained = slurm.run("squeue", "--noheader", "--states=RUNNING", "--format=%N").strip()
        slurm.run("scontrol", "update", f"nodename={drained}", "state=drain", "reason=test")
        try:
            assert driver.wait(120) == 0
        finally:
            slurm.run("scontrol", "update", f"nodename={drained}", "state=resume")
    assert sorted(call["package"] for call in project.calls("build")) == sorted(EIGHT)
    records = [json.loads(line) for line in (project.folder / "run" / "records.jsonl").read_text().splitlines()]
    workers = {record["package"]: record["worker"].partition("/")[0] for record in records}
    assert {name for name, worker in workers.items() if worker == drained} == {"g1"}
