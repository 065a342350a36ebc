"""Why packages are not there."""

from __future__ import annotations

from typing import Any

import pytest

from job_creator.engines.engine import EndingKind, StepEnding
from job_creator.runs.failures import FailureClass, judge
from job_creator.runs.records import StepRecord


def record(state: str = "failed", because: str = "it does not build: exit code 1") -> StepRecord:
    return StepRecord("h", "hdf5", "1", "e", state, because)


@pytest.mark.parametrize(
    ("kind", "left", "log", "expected"),
    [
        (EndingKind.FAILED, record(), "error: no way", "own"),
        (EndingKind.FAILED, record("skipped", "x was not built"), "Killed", "dependency"),
        (EndingKind.FAILED, record(because="it was not done within 60 s"), "", "time"),
        (EndingKind.OUT_OF_TIME, None, "", "time"),
        (EndingKind.OUT_OF_MEMORY, None, "", "memory"),
        (EndingKind.FAILED, record(), "c++: fatal error: Killed signal terminated program cc1plus", "memory"),
        (EndingKind.FAILED, record(), "collect2: error: ld: Cannot allocate memory", "memory"),
        (EndingKind.FAILED, record(), "write: No space left on device", "infrastructure"),
        (EndingKind.FAILED, record(), "curl: (7) Connection refused", "infrastructure"),
        (EndingKind.LOST, None, "", "infrastructure"),
        (EndingKind.LOST, record(), "error: no way", "infrastructure"),
        (EndingKind.FAILED, None, "", "infrastructure"),
        (EndingKind.DONE, None, "", "infrastructure"),
    ],
)
def test_each_cause_has_its_class(kind: EndingKind, left: Any, log: str, expected: str) -> None:
    assert judge(StepEnding("1", kind), left, log).failure == FailureClass(expected)


def test_only_machines_and_memory_are_worth_another_try() -> None:
    causes = {
        FailureClass.OWN: (EndingKind.FAILED, record(), ""),
        FailureClass.DEPENDENCY: (EndingKind.FAILED, record("skipped"), ""),
        FailureClass.MEMORY: (EndingKind.OUT_OF_MEMORY, None, ""),
        FailureClass.TIME: (EndingKind.OUT_OF_TIME, None, ""),
        FailureClass.INFRASTRUCTURE: (EndingKind.LOST, None, ""),
    }
    tries = {cause: judge(StepEnding("1", kind), left, log).tries for cause, (kind, left, log) in causes.items()}
    assert {cause for cause, count in tries.items() if count > 1} == {
        FailureClass.MEMORY,
        FailureClass.INFRASTRUCTURE,
    }
