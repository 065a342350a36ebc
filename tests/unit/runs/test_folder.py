"""The folder of a run."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from foundation.errors import DamagedError, NotThereError, RefusedError
from job_creator.builds.steps import Step
from job_creator.runs.folder import RunFolder
from job_creator.runs.records import StepRecord

STEP = Step("abc", "hdf5", "1.14", "neuron", ())


def record(state: str = "built", attempt: int = 1) -> StepRecord:
    return StepRecord("abc", "hdf5", "1.14", "neuron", state, attempt=attempt)


def test_the_last_record_counts(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert folder.records() == {}
    folder.add_record(record("failed"))
    folder.add_record(record("built", 2))
    assert folder.records() == {"abc": record("built", 2)}


@pytest.mark.parametrize("cut", range(1, 40))
def test_half_a_line_at_the_end_is_passed_over(tmp_path: Path, cut: int) -> None:
    """A machine that fails may leave a file cut off anywhere."""
    folder = RunFolder(tmp_path)
    folder.add_record(record("failed"))
    folder.add_record(record("built", 2))
    path = tmp_path / "records.jsonl"
    path.write_bytes(path.read_bytes()[:-cut])
    assert folder.records()["abc"].state == "failed"


def test_what_is_no_record_is_damage(tmp_path: Path) -> None:
    (tmp_path / "records.jsonl").write_text("nonsense\n")
    with pytest.raises(DamagedError, match=r"records\.jsonl"):
        RunFolder(tmp_path).records()
    folder = RunFolder(tmp_path)
    (folder.attempt(STEP, 1) / "record.json").write_text("{}")
    with pytest.raises(DamagedError, match="is no record of a package"):
        folder.left_record(STEP, 1)


def test_a_record_names_its_log(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert folder.left_record(STEP, 1) is None
    (folder.attempt(STEP, 1) / "record.json").write_text(record().line())
    left = folder.left_record(STEP, 1)
    assert left is not None
    assert left.log == "steps/hdf5-abc/1/log.txt"
    (tmp_path / left.log).write_text("x" * 100_000 + "the end")
    assert folder.end_of_log(STEP, 1).endswith("the end")
    assert len(folder.end_of_log(STEP, 1)) == 1 << 16


def test_a_run_is_made_once(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    with pytest.raises(NotThereError, match="is no run"):
        folder.run  # noqa: B018 - it is read
    folder.create({"steps": [{"hash": "abc"}]}, {"program/x": b""})
    assert folder.run["steps"] == {"abc": {"hash": "abc"}}
    with pytest.raises(RefusedError, match="has a run in it already"):
        folder.create({"steps": []}, {})


def test_a_run_has_one_driver(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert folder.driver() is None
    with folder.driven():
        assert folder.driver() == os.getpid()
        with pytest.raises(RefusedError, match=f"process {os.getpid()} is at work"), folder.driven():
            pass
    assert folder.driver() is None


def test_ids_of_an_engine_are_kept(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert folder.submitted() == {}
    folder.add_submitted("abc", 1, "17")
    folder.add_submitted("abc", 2, "18")
    assert folder.submitted() == {"abc": (2, "18")}


def test_records_are_those_of_package_jobs_and_more() -> None:
    """So `--durations` takes them."""
    from job_creator.builds.durations import read_durations

    lines = [json.loads(record().line()) | {"seconds": 7.0, "of_a_newer_release": 1}]
    content = "".join(f"{json.dumps(line)}\n" for line in lines).encode()
    assert read_durations(content, "records.jsonl", 0.0).of_package("hdf5") == 7.0
