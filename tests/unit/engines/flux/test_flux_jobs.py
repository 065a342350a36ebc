"""What is said to Flux, and what its answers mean. Answers are those of Flux 0.88."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_creator.builds.steps import Step
from job_creator.engines.engine import EndingKind, StepWork
from job_creator.engines.flux.jobs import Flux
from job_creator.engines.scheduler import NewJob, Submission
from tests.fakes.flux import shown

WORK = StepWork(
    Step("abcdefghij", "hdf5", "1.14", "neuron", ()),
    ("python3", "/run/program/run_step.py", "--cores", "{cores}"),
    Path("/run/steps/hdf5-abcdefghij/1/log.txt"),
    cores=8,
    seconds=3600,
    environment={"PATH": "/usr/bin", "AWS_SECRET_ACCESS_KEY": "secret"},
)
EXCEPTION = {"occurred": True, "severity": 0}


def test_a_step_is_submitted_with_what_it_waits_for_and_without_a_secret() -> None:
    job = NewJob(WORK, "jc-x-abcdefg-hdf5", "/run", "/run/job.sh", ("17", "18"), ("--queue=long",))
    assert Flux().submission(job) == [
        "flux",
        "submit",
        "--job-name=jc-x-abcdefg-hdf5",
        "--cwd=/run",
        "--output=/run/steps/hdf5-abcdefghij/1/log.txt",
        "--setopt=output.mode=append",
        "--ntasks=1",
        "--cores-per-task=8",
        "--time-limit=65m",
        "--dependency=afterok:17",
        "--dependency=afterok:18",
        "--queue=long",
        "sh",
        "/run/job.sh",
    ]


@pytest.mark.parametrize(
    ("shown", "id_"), [("ƒ1", "0"), ("ƒz", "57"), ("f211", "3364"), ("ƒuzzybunny", "6787342413402046")]
)
def test_ids_are_numbers_in_other_letters(shown: str, id_: str) -> None:
    """The last two are pairs that Flux's own tests have."""
    assert Flux().answer(0, ["a warning", shown]) == Submission(id_)


@given(st.integers(1, 2**63 - 1))
def test_every_id_is_read(number: int) -> None:
    assert Flux().answer(0, [shown(number)]).id == str(number)


@pytest.mark.parametrize("line", ["", "ƒ", "17", "ƒ0", "cannot open"])
def test_what_is_no_id_is_none(line: str) -> None:
    assert Flux().answer(0, [line]) == Submission()


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        (
            "flux-submit: ERROR: dependency: afterok: job ƒ2Pq failed or was canceled",
            Submission(is_never="flux-submit: ERROR: dependency: afterok: job ƒ2Pq failed or was canceled"),
        ),
        (
            "flux-submit: ERROR: dependency: afterok: id ƒ2Pq not found",
            Submission(is_never="flux-submit: ERROR: dependency: afterok: id ƒ2Pq not found"),
        ),
        ("flux-submit: ERROR: user has reached the limit of 100 active jobs", Submission(is_full=True)),
        ("flux-submit: ERROR: Invalid queue 'x' specified", Submission()),
        ("flux: sh: command not found", Submission()),
    ],
)
def test_refusals_are_told_apart(line: str, answer: Submission) -> None:
    assert Flux().answer(1, [line]) == answer


@pytest.mark.parametrize(
    ("job", "kind"),
    [
        ({"state": "DEPEND"}, None),
        ({"state": "SCHED"}, None),
        ({"state": "RUN"}, None),
        ({"state": "CLEANUP", "result": "FAILED"}, None),
        ({"state": "INACTIVE", "result": "COMPLETED", "returncode": 0}, EndingKind.DONE),
        ({"state": "INACTIVE", "result": "FAILED", "returncode": 1}, EndingKind.FAILED),
        ({"state": "INACTIVE", "result": "TIMEOUT", "returncode": 142}, EndingKind.OUT_OF_TIME),
        ({"state": "INACTIVE", "result": "CANCELED", "returncode": 143}, EndingKind.LOST),
        (
            {
                "state": "INACTIVE",
                "result": "FAILED",
                "exception": {**EXCEPTION, "type": "dependency", "note": "never"},
            },
            EndingKind.CANCELLED,
        ),
        (
            {
                "state": "INACTIVE",
                "result": "FAILED",
                "exception": {**EXCEPTION, "type": "exec", "note": "node failure"},
            },
            EndingKind.LOST,
        ),
        (
            {"state": "INACTIVE", "result": "FAILED", "exception": {**EXCEPTION, "type": "alloc", "note": "too large"}},
            EndingKind.LOST,
        ),
    ],
)
def test_states_mean(job: dict[str, Any], kind: EndingKind | None) -> None:
    output = json.dumps({"jobs": [{"id": 17, "name": "x", "cwd": "/run", "exception": {"occurred": False}, **job}]})
    (found,) = Flux().jobs(output)
    assert (found.ending.kind if found.ending else None) is kind
    assert (found.id, found.name, found.run, found.is_stuck) == ("17", "x", "/run", False)


@pytest.mark.parametrize("output", ["", "{}", '{"jobs": [{}]}', '{"jobs": 3}'])
def test_any_other_output_is_a_fault(output: str) -> None:
    with pytest.raises(ValueError, match=r"Expecting value|not laid out as expected"):
        list(Flux().jobs(output))


def test_jobs_that_ended_meanwhile_need_no_cancelling() -> None:
    line = "flux-cancel: ERROR: ƒ2Pq: job is inactive"
    assert Flux().is_over(f"{line}\n{line}\n")
    assert not Flux().is_over(f"{line}\nflux-cancel: ERROR: Unable to connect to Flux\n")
    assert not Flux().is_over("")
