"""Driving a run: what is started, in which order, how often, and what is noted of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_creator.builds.steps import Step
from job_creator.engines.engine import EndingKind, StepWork
from job_creator.runs.driver import Driver
from job_creator.runs.plan import graph_of, make_plan
from job_creator.runs.records import StepRecord, latest
from tests.build_runs import EIGHT, PretendedEngine, locked

KILLED = "c++: fatal error: Killed signal terminated program cc1plus"
FULL = "write: No space left on device"


@dataclass
class Notes:
    """Keeps in memory what a run folder keeps in files."""

    engine: PretendedEngine
    logs: Mapping[str, str] = field(default_factory=dict)
    records: list[StepRecord] = field(default_factory=list)

    def left_record(self, step: Step, number: int) -> StepRecord | None:
        state = self.engine.left.get(self.log_name(step, number))
        if state is None:
            return None
        return StepRecord(step.hash, step.package, step.version, step.environment, state, attempt=number)

    def log_name(self, step: Step, number: int) -> str:
        return f"{step.package}/{number}"

    def end_of_log(self, step: Step, number: int) -> str:
        return self.logs.get(self.log_name(step, number), "")

    def add_record(self, record: StepRecord) -> None:
        self.records.append(record)

    def add_submitted(self, hash_: str, attempt: int, id_: str) -> None:
        del hash_, attempt, id_


def driven(
    engine: PretendedEngine, needs: Mapping[str, Sequence[str]] = EIGHT, logs: Mapping[str, str] | None = None
) -> Notes:
    notes = Notes(engine, logs or {})
    plan = make_plan({"all": graph_of(locked(needs))}, ())

    def work_of(step: Step, attempt: int, halved: int) -> StepWork:
        return StepWork(step, ("true",), Path(notes.log_name(step, attempt)), 8 >> halved)

    Driver(plan, engine, notes, work_of, lambda record: None).run()
    return notes


def outcome(notes: Notes) -> dict[str, str]:
    """What became of each package in the end."""
    return {one.package: " ".join((one.state, one.failure)).strip() for one in latest(notes.records).values()}


both = pytest.mark.parametrize("ahead", [False, True])


@both
def test_all_is_built_once_after_what_it_needs(ahead: bool) -> None:
    engine = PretendedEngine(holds_dependencies=ahead)
    assert set(outcome(driven(engine)).values()) == {"built"}
    order = [package for package, _, _ in engine.submitted]
    assert sorted(order) == sorted(EIGHT)
    assert all(order.index(need) < order.index(one) for one, below in EIGHT.items() for need in below)
    if not ahead:
        assert not any(after for _, _, after in engine.submitted)


def test_an_engine_that_holds_orders_is_told_what_is_not_built_yet() -> None:
    engine = PretendedEngine(holds_dependencies=True)
    driven(engine)
    waits = {package: set(after) for package, _, after in engine.submitted}
    assert waits["g5"] == {"g2#1", "g3#1"}
    assert waits["g1"] == set()


def test_ids_of_what_has_ended_are_never_referred_to() -> None:
    """Slurm takes an id that it has forgotten for a job that ended well."""
    engine = PretendedEngine(holds_dependencies=True, most=1)
    driven(engine)
    assert not any(after for _, _, after in engine.submitted)


@both
def test_a_failure_keeps_its_dependents_from_being_built_and_nothing_else(ahead: bool) -> None:
    notes = driven(PretendedEngine({("g3", 1): EndingKind.FAILED}, holds_dependencies=ahead))
    assert outcome(notes) == {
        **dict.fromkeys(("g1", "g2", "g4"), "built"),
        "g3": "failed own",
        **dict.fromkeys(("g5", "g6", "g7", "g8"), "skipped dependency"),
    }
    because = {one.package: one.because for one in notes.records}
    assert because["g6"].startswith("g3@1.0/")
    assert because["g8"].startswith("g6@1.0/")


@both
def test_a_lost_machine_repeats_exactly_what_was_lost(ahead: bool) -> None:
    engine = PretendedEngine({("g3", 1): EndingKind.LOST, ("g3", 2): EndingKind.LOST}, holds_dependencies=ahead)
    notes = driven(engine)
    assert set(outcome(notes).values()) == {"built"}
    assert [(one.package, one.attempt, one.failure) for one in notes.records if one.state == "failed"] == [
        ("g3", 1, "infrastructure"),
        ("g3", 2, "infrastructure"),
    ]
    assert {one.package: one.attempt for one in notes.records if one.state == "built"} == {
        **dict.fromkeys(EIGHT, 1),
        "g3": 3,
    }


@both
def test_a_machine_that_is_lost_again_and_again_is_a_failure(ahead: bool) -> None:
    notes = driven(PretendedEngine({("g3", number): EndingKind.LOST for number in range(9)}, holds_dependencies=ahead))
    assert outcome(notes)["g3"] == "failed infrastructure"
    assert [one.package for one in notes.records].count("g3") == 3
    assert outcome(notes)["g8"] == "skipped dependency"


def test_a_full_disk_is_no_fault_of_the_package() -> None:
    notes = driven(PretendedEngine({("g1", 1): EndingKind.FAILED}), {"g1": ()}, {"g1/1": FULL})
    assert outcome(notes) == {"g1": "built"}


def test_what_ran_out_of_memory_is_tried_once_more_with_half_the_cores() -> None:
    engine = PretendedEngine({("g1", 1): EndingKind.FAILED, ("g1", 2): EndingKind.FAILED})
    notes = driven(engine, {"g1": ()}, dict.fromkeys(("g1/1", "g1/2"), KILLED))
    assert [work.cores for work in engine.works] == [8, 4]
    assert outcome(notes) == {"g1": "failed memory"}


def test_what_takes_too_long_is_not_tried_again() -> None:
    notes = driven(PretendedEngine({("g1", 1): EndingKind.OUT_OF_TIME}), {"g1": ()})
    assert outcome(notes) == {"g1": "failed time"}
    assert notes.records[0].because == "its program left no record (out of time: as the test said)"


@given(st.dictionaries(st.tuples(st.sampled_from(sorted(EIGHT)), st.integers(1, 3)), st.sampled_from(list(EndingKind))))
def test_two_kinds_of_engines_come_to_the_same_end(ends: dict[tuple[str, int], EndingKind]) -> None:
    """As long as nothing is cancelled by anybody but the engine, and nothing is tried again.

    What an engine cancelled for another step is submitted once more, and the pretended one counts what is submitted.
    """
    ends = {key: kind for key, kind in ends.items() if kind is not EndingKind.CANCELLED}
    first, second = (driven(PretendedEngine(ends, holds_dependencies=ahead)) for ahead in (False, True))
    if not {EndingKind.LOST, EndingKind.OUT_OF_MEMORY} & set(ends.values()):
        assert outcome(first) == outcome(second)
    assert all(set(outcome(one)) == set(EIGHT) for one in (first, second))
