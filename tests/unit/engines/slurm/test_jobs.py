"""What is said to Slurm, and what its answers mean."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from job_creator.builds.steps import Step
from job_creator.engines.engine import EndingKind, StepWork
from job_creator.engines.scheduler import NewJob, job_name, mark_of, script
from job_creator.engines.slurm.jobs import Slurm

WORK = StepWork(
    Step("abcdefghij", "hdf5", "1.14", "neuron", ()),
    ("python3", "/run/program/run_step.py", "it's", "--cores", "{cores}"),
    Path("/run/steps/hdf5-abcdefghij/1/log.txt"),
    cores=8,
    seconds=3600,
    environment={"PATH": "/usr/bin", "AWS_SECRET_ACCESS_KEY": "secret"},
)


def test_a_step_is_submitted_with_what_it_waits_for_and_without_a_secret() -> None:
    name = job_name("s3://cache", WORK)
    words = Slurm().submission(NewJob(WORK, name, "/run", "/run/job.sh", ("17", "18"), ("--partition=long",)))
    assert words == [
        "sbatch",
        "--parsable",
        f"--job-name={mark_of('s3://cache')}abcdefg-hdf5",
        "--comment=/run",
        "--output=/run/steps/hdf5-abcdefghij/1/log.txt",
        "--open-mode=append",
        "--requeue",
        "--nodes=1",
        "--ntasks=1",
        "--cpus-per-task=8",
        "--time=65",
        "--export=ALL",
        "--dependency=afterok:17:18",
        "--kill-on-invalid-dep=yes",
        "--partition=long",
        "/run/job.sh",
    ]
    assert script(WORK) == "#!/bin/sh\nexec python3 /run/program/run_step.py 'it'\"'\"'s' --cores 8\n"


def test_a_step_that_waits_for_nothing_names_no_job() -> None:
    assert not [word for word in Slurm().submission(NewJob(WORK, "x", "/run", "job.sh")) if "dep" in word]


def test_ranks_may_be_on_other_nodes_than_their_package() -> None:
    words = Slurm().submission(NewJob(replace(WORK, ranks=64), "x", "/run", "job.sh"))
    assert [word for word in words if "node" in word or "task" in word] == ["--ntasks=72", "--cpus-per-task=1"]


def test_jobs_of_different_caches_differ() -> None:
    assert mark_of("s3://one") != mark_of("s3://other")


@pytest.mark.parametrize(
    ("state", "reason", "kind"),
    [
        ("PENDING", "Dependency", None),
        ("PENDING", "BeginTime", None),
        ("RUNNING", "None", None),
        ("COMPLETING", "None", None),
        ("REQUEUED", "None", None),
        ("COMPLETED", "None", EndingKind.DONE),
        ("FAILED", "NonZeroExitCode", EndingKind.FAILED),
        ("TIMEOUT", "TimeLimit", EndingKind.OUT_OF_TIME),
        ("OUT_OF_MEMORY", "OutOfMemory", EndingKind.OUT_OF_MEMORY),
        ("NODE_FAIL", "NodeDown", EndingKind.LOST),
        ("PREEMPTED", "None", EndingKind.LOST),
        ("CANCELLED", "None", EndingKind.LOST),
        ("CANCELLED", "DependencyNeverSatisfied", EndingKind.CANCELLED),
        ("PENDING", "DependencyNeverSatisfied", EndingKind.CANCELLED),
        ("PENDING", "launch failed requeued held", EndingKind.LOST),
    ],
)
def test_states_mean(state: str, reason: str, kind: EndingKind | None) -> None:
    (job,) = Slurm().jobs(f"17|x|{state}|{reason}|\n")
    assert (job.ending.kind if job.ending else None) is kind
    assert job.is_stuck == (kind is not None and state == "PENDING")


def test_lines_are_read_whatever_a_comment_holds() -> None:
    output = "17|jc-x|RUNNING|None|/run|with|bars\n\nslurm_load_jobs error: x\n18_4|y|FAILED|NonZeroExitCode|(null)\n"
    assert [(job.id, job.name, job.run) for job in Slurm().jobs(output)] == [
        ("17", "jc-x", "/run|with|bars"),
        ("18_4", "y", "(null)"),
    ]
