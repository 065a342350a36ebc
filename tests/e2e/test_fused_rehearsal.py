"""Packages that share jobs, under gitlab-ci-local: a failure keeps only its dependents from being built."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from foundation.errors import ExitCode
from foundation.graph import BuildGraph, reachable
from job_creator.builds import node_step
from job_creator.builds.node_step import PackageOutcome, read_records
from job_creator.engines.gitlab.generated import read_generated
from tests.e2e.rehearsals import rehearse, repository

pytestmark = [pytest.mark.usefixtures("components"), pytest.mark.xdist_group("rehearsal")]


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


def lock_of(folder: Path) -> BuildGraph:
    """What the lockfile beside a pipeline says."""
    lock = (folder / "concrete_environment" / "spack.lock").read_bytes()
    assert json.loads(lock)
    graph = read_generated("other", "pipeline.yml", (folder / "pipeline.yml").read_bytes(), lock=lock).builds.graph
    assert graph is not None
    return graph
