"""What a run did."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from foundation.graph import Edges, reachable
from job_creator.runs.records import StepRecord
from job_creator.runs.report import make_report, report_lines, report_value
from tests.strategies import graphs


def record(name: str, state: str) -> StepRecord:
    return StepRecord(
        name, name, "1", "e", state, failure="own" if state == "failed" else "", log=f"steps/{name}/1/log.txt"
    )


def test_the_failure_that_blocks_most_comes_first() -> None:
    edges = {
        "z": frozenset[str](),
        "a": frozenset[str](),
        "m": frozenset({"z"}),
        "n": frozenset({"m"}),
        "o": frozenset({"a", "z"}),
        "p": frozenset[str](),
    }
    states = {"z": "failed", "a": "failed", "m": "skipped", "n": "skipped", "o": "skipped", "p": "built"}
    report = make_report(edges, {name: record(name, state) for name, state in states.items()})
    assert [(one.record.package, one.blocked) for one in report.blockers] == [("z", 3), ("a", 1)]
    assert list(report_lines(report, "run")) == [
        "1 built, 2 failed, 3 skipped",
        "failed  z@1/z [own]; keeps 3 from being built",
        "        run/steps/z/1/log.txt",
        "failed  a@1/a [own]; keeps 1 from being built",
        "        run/steps/a/1/log.txt",
    ]
    assert not report.is_complete
    value = report_value(report, "run")
    assert (value["built"], value["failed"], value["skipped"], value["complete"]) == (1, 2, 3, False)


@given(graphs(), st.sets(st.integers(0, 13)))
def test_blocked_are_all_that_need_it(edges: Edges, numbers: set[int]) -> None:
    broken = {f"n{number:02}" for number in numbers} & edges.keys()
    below = reachable(edges)
    skipped = {one for one in edges if below[one] & broken} - broken
    states = {one: "failed" if one in broken else "skipped" if one in skipped else "built" for one in edges}
    report = make_report(edges, {one: record(one, state) for one, state in states.items()})
    blocked = {one.record.package: one.blocked for one in report.blockers}
    assert blocked == {one: sum(one in below[other] for other in skipped) for one in broken}


def test_a_run_that_is_going_on_is_not_complete() -> None:
    report = make_report({"a": frozenset(), "b": frozenset()}, {"a": record("a", "built")})
    assert list(report_lines(report, "run")) == ["1 built, 1 open"]
    assert not report.is_complete
