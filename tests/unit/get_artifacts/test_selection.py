"""Which artifacts are fetched, and what is said when they are not there."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.errors import NotReadyError, NotThereError, RefusedError
from get_artifacts.family import Bridge, Child, Family, FinishedJob, PipelineId, latest, read_bridge, read_job
from get_artifacts.selection import WantedArtifacts, choose, dotenv
from job_creator.engines.gitlab import names

NOW = datetime(2026, 3, 1, tzinfo=UTC)
PARENT = PipelineId(7, 100)
CHILD = PipelineId(7, 200)
UNFINISHED = ("created", "pending", "running", "manual", "scheduled", "preparing", "waiting_for_resource", "canceling")


def job(
    name: str, *, number: int = 1, status: str = "success", size: int | None = 10, at: PipelineId = CHILD
) -> FinishedJob:
    return FinishedJob(number, name, status, at, size)


def family(*jobs: FinishedJob, bridges: tuple[Bridge, ...] = ()) -> Family:
    top = Bridge(1, names.BASE_BRIDGE, "success", CHILD)
    return Family(PARENT, (top,), (top,), (Child(CHILD, jobs, bridges),))


def both(architecture: str) -> tuple[FinishedJob, FinishedJob]:
    return job(names.process_job(architecture)), job(names.containers_job(architecture))


def test_each_architecture_has_two_folders() -> None:
    choice = choose(family(*both("amd64"), *both("arm64"), job("build builder for amd64")), WantedArtifacts(), NOW)
    assert [(item.folder, item.architecture, item.required) for item in choice.items] == [
        ("spack.artifacts.amd64", "amd64", "spack_pipeline.yaml"),
        ("spacktainer.artifacts.amd64", "amd64", "spacktainer_pipeline.yaml"),
        ("spack.artifacts.arm64", "arm64", "spack_pipeline.yaml"),
        ("spacktainer.artifacts.arm64", "arm64", "spacktainer_pipeline.yaml"),
    ]
    assert choice.items[0].paths == ("spack.artifacts.amd64/*.yaml",)
    assert choice.missing == ()


def test_an_architecture_with_imported_images_only_has_one() -> None:
    choice = choose(family(job(names.containers_job("amd64"))), WantedArtifacts(), NOW)
    assert [item.folder for item in choice.items] == ["spacktainer.artifacts.amd64"]


@pytest.mark.parametrize("architecture", ["../x", "", "a/b", ".hidden", "a b", "x\n"])
def test_what_is_no_architecture_never_becomes_a_folder(architecture: str) -> None:
    bad = job(names.process_job(architecture))
    with pytest.raises(NotThereError):
        choose(family(bad), WantedArtifacts(), NOW)
    folder = choose(family(bad), WantedArtifacts(jobs=("*",)), NOW).items[0].folder
    assert "/" not in folder
    assert not folder.startswith(".")


@pytest.mark.parametrize("status", UNFINISHED)
def test_not_finished_is_not_missing(status: str) -> None:
    with pytest.raises(NotReadyError, match=f"process spack pipeline for amd64' is '{status}'"):
        choose(
            family(job(names.process_job("amd64"), status=status, size=None), both("arm64")[0]), WantedArtifacts(), NOW
        )


def test_a_job_that_failed_counts_by_what_it_left() -> None:
    left = job(names.process_job("amd64"), status="failed")
    empty = job(names.process_job("arm64"), status="failed", size=None)
    choice = choose(family(left, empty), WantedArtifacts(), NOW)
    assert [item.job for item in choice.items] == [left]
    assert choice.missing == ("job 'process spack pipeline for arm64': it ended as 'failed' and left no artifacts",)


def test_expired_artifacts_are_called_so() -> None:
    old = replace(both("amd64")[0], archive_bytes=None, expires=datetime(2026, 2, 1, tzinfo=UTC))
    with pytest.raises(NotThereError, match="expired on 2026-02-01; run the job again"):
        choose(family(old), WantedArtifacts(), NOW)


def test_names_that_were_there_are_listed() -> None:
    with pytest.raises(NotThereError, match="the jobs there are 'build builder', 'tag builder'"):
        choose(family(job("tag builder"), job("build builder")), WantedArtifacts(), NOW)
    with pytest.raises(NotThereError, match=r"no job 'buidl\*'.*\n.*'build builder'"):
        choose(family(job("build builder")), WantedArtifacts(jobs=("buidl*",)), NOW)
    other = Bridge(1, "something else", "success", CHILD)
    with pytest.raises(NotThereError, match=r"has no trigger job 'base containers.*are 'something else'"):
        choose(Family(PARENT, (other,), (), ()), WantedArtifacts(), NOW)


@pytest.mark.parametrize(("status", "error"), [("created", NotReadyError), ("running", NotReadyError)])
def test_a_bridge_whose_pipeline_is_yet_to_come(status: str, error: type[Exception]) -> None:
    bridge = Bridge(1, names.BASE_BRIDGE, status, None)
    with pytest.raises(error, match="its pipeline is yet to come"):
        choose(Family(PARENT, (bridge,), (bridge,), ()), WantedArtifacts(), NOW)


def test_a_bridge_that_failed_says_why() -> None:
    bridge = Bridge(1, names.BASE_BRIDGE, "failed", None, "downstream_pipeline_creation_failed")
    with pytest.raises(NotThereError, match="ended as 'failed' without a pipeline downstream_pipeline_creation_failed"):
        choose(Family(PARENT, (bridge,), (bridge,), ()), WantedArtifacts(), NOW)


def test_an_inner_bridge_may_still_bring_what_was_not_found() -> None:
    inner = Bridge(2, "inner", "pending", None)
    with pytest.raises(NotReadyError, match="'inner' is 'pending'"):
        choose(family(job("a"), bridges=(inner,)), WantedArtifacts(jobs=("a", "b")), NOW)
    assert choose(family(job("a"), bridges=(inner,)), WantedArtifacts(jobs=("a",)), NOW).items
    assert choose(family(*both("amd64"), bridges=(inner,)), WantedArtifacts(), NOW).items


def test_two_pipelines_with_the_same_job_are_not_mixed_up() -> None:
    twice = family(both("amd64")[0], replace(both("amd64")[0], id=2, pipeline=PipelineId(7, 201)))
    with pytest.raises(RefusedError, match="would be filled from pipeline 200 of project 7, pipeline 201 of project 7"):
        choose(twice, WantedArtifacts(), NOW)


def test_other_jobs_have_folders_of_their_own() -> None:
    jobs = job("test: [a, b]", number=1), job("test/x", number=2), job("test x", number=3)
    choice = choose(family(*jobs), WantedArtifacts(jobs=("test*",)), NOW)
    assert [item.folder for item in choice.items] == ["test_a_b", "test_x.2", "test_x.3"]
    assert {item.paths for item in choice.items} == {("**",)}
    assert [item.job.name for item in choose(family(*jobs), WantedArtifacts(jobs=("test: [a, b]",)), NOW).items] == [
        jobs[0].name
    ]


@given(st.lists(st.builds(job, st.text(min_size=1), number=st.integers(1)), unique_by=lambda one: one.id))
def test_no_two_jobs_share_a_folder(jobs: list[FinishedJob]) -> None:
    try:
        items = choose(family(*jobs), WantedArtifacts(jobs=("*",)), NOW).items
    except (NotThereError, RefusedError):
        return
    folders = [item.folder for item in items]
    assert len(folders) == len(set(folders)) == len(jobs)
    assert all("/" not in folder and folder not in ("", ".", "..", ".ga") for folder in folders)


def test_of_attempts_the_last_one_counts() -> None:
    attempts = [job("a", number=3), job("b", number=2), job("a", number=9), job("a", number=5)]
    assert [(one.name, one.id) for one in latest(attempts)] == [("a", 9), ("b", 2)]


@given(st.dictionaries(st.text(min_size=1), st.booleans()))
def test_dotenv_has_legal_names_of_what_is_complete(arrived: dict[str, bool]) -> None:
    lines = dotenv(arrived).splitlines()
    assert all(line.isascii() and line.endswith("=yes") for line in lines)
    assert all(line.removesuffix("=yes").replace("_", "a").isalnum() for line in lines)
    assert bool(lines) == any(arrived.values())


def test_dotenv() -> None:
    assert dotenv({"amd64": True, "arm64": False, "x86_64-v3": True}) == "amd64=yes\nx86_64_v3=yes\n"


def test_answers_are_read() -> None:
    answer: dict[str, Any] = {"id": 5, "name": "b", "status": "failed", "downstream_pipeline": None}
    assert read_bridge(answer, PARENT) == Bridge(5, "b", "failed", None)
    answer |= {"downstream_pipeline": {"id": 8, "project_id": 9}, "failure_reason": "x"}
    assert read_bridge(answer, PARENT) == Bridge(5, "b", "failed", PipelineId(9, 8), "x")
    answer = {"id": 5, "name": "j", "status": "success", "artifacts_expire_at": "2026-02-03T04:05:06.789Z"}
    read = read_job(answer, CHILD)
    assert (read.archive_bytes, read.expires and read.expires.day) == (None, 3)
    assert read_job(answer | {"artifacts_file": {"filename": "x", "size": 3}}, CHILD).archive_bytes == 3
    with pytest.raises(TypeError):
        read_job(answer | {"id": None}, CHILD)
