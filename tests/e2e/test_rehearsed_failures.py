"""Failures under gitlab-ci-local: exactly what needs a package is lost with it, also where packages share jobs."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from foundation.errors import ExitCode
from foundation.graph import BuildGraph, reachable
from job_creator.builds import node_step
from job_creator.builds.node_step import PackageOutcome, read_records
from job_creator.engines.gitlab.generated import read_generated
from job_creator.reports.reading import read_run
from job_creator.runs.records import StepRecord
from tests.build_project import BuildProject
from tests.e2e.rehearsals import rehearse, repository
from tests.samples import REPOSITORY

pytestmark = [pytest.mark.usefixtures("components"), pytest.mark.xdist_group("rehearsed failures")]


def test_what_fails_is_named_and_everything_else_goes_on(tmp_path: Path) -> None:
    """A package of a grandchild does not build, and a container does not concretize."""
    root = repository(tmp_path / "repository")
    (root / "container_definitions" / "amd64" / "compress.yaml").rename(root / "container_definitions/amd64/lost.yaml")
    (root / "container_definitions" / "arm64" / "other.yaml").write_text("spack: {specs: [never-recorded@2.0]}\n")
    found = rehearse(root, tmp_path / "run", "--fail", "gdbm", "--fail", "lost")
    assert found.exit_code == ExitCode.JOB_FAILED
    (run,) = found.result["runs"]
    failures = {one["job"].partition(" /")[0]: one for one in run["failures"]}
    # What needs it in another child looks for it, and ends at once.
    early = {job for job, one in failures.items() if ": its dependency " in one["log"]}
    # A cache whose environments are not all known is not cleaned.
    assert set(failures) - early == {
        "gdbm@1.25",
        "generate build cache population job for lost for amd64",
        "build lost container for amd64",
    }
    assert "gdbm does not build (as asked for)" in failures["gdbm@1.25"]["log"]
    assert failures["gdbm@1.25"]["pipeline"].startswith("packages ")
    log = failures["generate build cache population job for lost for amd64"]["log"]
    assert "lost/spack.yaml:1:1: cannot be concretized (as asked for)" in log
    assert "'gdbm@1.25" in found.printed

    every = found.pipelines()
    populate = every["populate buildcache for amd64"]
    assert every["parent pipeline"]["jobs"]["populate buildcache for amd64"] == "failed"
    assert every["parent pipeline"]["jobs"]["populate buildcache for arm64"] == "success"
    packages = {
        job.partition("@")[0]: status
        for one in every.values()
        if populate["id"] in (one["id"], one["parent"])
        for job, status in one["jobs"].items()
        if "@" in job
    }
    # What needs gdbm is not built, what does not need it is.
    assert packages["gdbm"] == "failed"
    assert {packages["perl"], packages["c-blosc"], packages["python"]} <= {"failed", "skipped"}
    assert (packages["berkeley-db"], packages["zlib-ng"], packages["readline"]) == ("success",) * 3
    assert run["failed"] == {"amd64": 1}
    assert run["built"]["amd64"] + 1 + run["skipped"]["amd64"] == len(packages)
    assert run["reused"] == {"amd64": 0, "arm64": 0}
    # GitLab takes what was skipped for done, so the index is rebuilt all the same.
    assert every["populate buildcache for amd64"]["jobs"]["rebuild-index"] == "success"
    assert "never-recorded@2.0" in " ".join(every["populate buildcache for arm64"]["jobs"])
    # The containers are rehearsed up to their images.
    assert run["left_out"]
    assert not run["containers"]


def test_a_failure_in_a_shared_job_stops_exactly_what_needs_it(tmp_path: Path) -> None:
    root = repository(tmp_path / "repository")
    site = root / "spacktainers.yaml"
    site.write_text(site.read_text().replace("fuse: off, limits: {max_jobs: 27}", "fuse: 400"))
    for path in root.glob("container_definitions/arm64/*"):
        path.unlink()
    (root / "container_definitions" / "amd64" / "compress.yaml").unlink()
    (root / "container_definitions" / "amd64" / "other.yaml").write_text("spack: {specs: [python]}\n")
    found = rehearse(root, tmp_path / "run", "--fail", "gdbm")
    assert found.exit_code == ExitCode.JOB_FAILED, found.printed

    states = tmp_path / "run" / "checkout" / ".rehearsal"
    records: dict[str, PackageOutcome] = {}
    shared = 0
    for path in states.rglob(f"{node_step.OUTCOMES}/{node_step.RECORDS}"):
        if "artifacts" in path.parts:
            own = read_records(path.read_bytes(), str(path))
            shared += len(own) > 1
            records |= {one.hash: one for one in own}
    assert shared
    folder = next(states.rglob("jobs_scratch_dir.amd64/other/pipeline.yml")).parent
    graph = lock_of(folder)
    below = reachable(graph.edges)
    (failed,) = (key for key, one in records.items() if one.package == "gdbm")
    for key, needs in below.items():
        if graph.packages[key].is_external:
            continue
        if key == failed:
            assert records[key].state == "failed"
        elif failed in needs:
            # Where nothing else shares the job, GitLab does not even start it.
            assert key not in records or records[key].state == "skipped"
        else:
            assert records[key].state == "built"
    (run,) = found.result["runs"]
    assert run["failed"] == {"amd64": 1}
    assert run["built"]["amd64"] == sum(one.state == "built" for one in records.values())
    assert run["skipped"]["amd64"] == sum(failed in needs for needs in below.values())
    populate = found.pipelines()["populate buildcache for amd64"]
    assert populate["status"] == "failed"
    assert populate["jobs"]["rebuild-index"] == "success"
    assert any(" more" in job for job in populate["jobs"])
    assert_jc_build_leaves_the_same(folder / "concrete_environment" / "spack.lock", states, tmp_path / "build")


def assert_jc_build_leaves_the_same(lock: Path, states: Path, folder: Path) -> None:
    """Of the same lockfile, built on this machine without GitLab: the same packages, and the same is said of each."""
    project = BuildProject.made(folder, options=("-j", "2"))
    project.tell("fail-gdbm")
    command = project.command()
    (project.folder / "other.lock").write_bytes(lock.read_bytes())
    command = [str(project.folder / "other.lock") if word.endswith("toys.lock") else word for word in command]
    done = subprocess.run(command, env=project.variables(), cwd=REPOSITORY, check=False, stdout=subprocess.DEVNULL)
    assert done.returncode == ExitCode.PACKAGES_FAILED
    ours = read_run(project.folder / "run").records
    theirs = read_run(states).records
    assert {one.engine for one in theirs.values()} == {"gitlab"}
    assert theirs.keys() <= ours.keys()
    assert {key: same(one) for key, one in theirs.items()} == {key: same(ours[key]) for key in theirs}
    # Jobs that GitLab does not start leave no records.
    assert {one.state for key, one in ours.items() if key not in theirs} <= {"skipped"}


def same(record: StepRecord) -> StepRecord:
    """What does not depend on the engine, the machine, how busy that is, and the code with which a stand-in ends."""
    because = record.because.partition(": exit code")[0] if record.state != "skipped" else ""
    busy = replace(record, seconds=0.0, started=0.0, peak_memory_bytes=0, phases={})
    return replace(busy, because=because, engine="", worker="", log="")


def lock_of(folder: Path) -> BuildGraph:
    """What the lockfile beside a pipeline says."""
    lock = (folder / "concrete_environment" / "spack.lock").read_bytes()
    assert json.loads(lock)
    graph = read_generated("other", "pipeline.yml", (folder / "pipeline.yml").read_bytes(), lock=lock).builds.graph
    assert graph is not None
    return graph
