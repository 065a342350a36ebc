"""What counts as working, what as failing, and what proves nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from job_creator.studies.splices.facts.values import SpecNode
from job_creator.studies.splices.prediction.verdicts import Confidence, Prediction, SpliceVerdict
from job_creator.studies.splices.verification.outcomes import (
    Actual,
    SpliceOutcome,
    Trial,
    complaints,
    confusion,
    outcome_from,
    outcome_of,
    proposals,
)


def node(name: str, version: str) -> SpecNode:
    return SpecNode(
        f"{name}{version}".replace(".", "x").ljust(32, "a"), name, version, is_external=False, dependencies=()
    )


def prediction(verdict: int | None, *, consumer: str = "8.9", new: str = "1.3") -> Prediction:
    return Prediction(
        node("curl", consumer),
        node("zlib", "1.2"),
        node("zlib", new),
        is_transitive=False,
        verdict=None if verdict is None else SpliceVerdict(verdict),
        reason="",
        confidence=Confidence.SYMBOLS if verdict else None,
    )


@pytest.mark.parametrize(
    ("before", "after", "said", "actual"),
    [
        (0, 0, "", Actual.WORKS),
        (0, 127, "symbol lookup error: undefined symbol: x", Actual.FAILS),
        (0, -11, "", Actual.FAILS),
        (0, 1, "wrong result", Actual.FAILS),
        # It knows no --version, with or without the splice.
        (2, 2, "usage", Actual.UNKNOWN),
        (2, 3, "usage", Actual.UNKNOWN),
        (2, 127, "error while loading shared libraries: x.so", Actual.FAILS),
    ],
)
def test_a_trial_is_held_against_the_original(before: int, after: int, said: str, actual: Actual) -> None:
    assert Trial("x --version", before, after, said).actual is actual


def test_one_failure_is_enough_and_nothing_run_is_no_proof() -> None:
    good, bad, silent = Trial("a", 0, 0), Trial("b", 0, 1), Trial("c", 2, 2)
    assert outcome_of(prediction(1), (), [good, bad]).actual is Actual.FAILS
    assert outcome_of(prediction(1), ("lib: undefined symbol: x",), [good]).actual is Actual.FAILS
    assert outcome_of(prediction(1), (), [good, silent]).actual is Actual.WORKS
    assert outcome_of(prediction(1), (), [silent]).actual is Actual.UNKNOWN
    assert outcome_of(prediction(1), (), []).actual is Actual.UNKNOWN


def test_only_what_the_loader_did_not_say_before_counts() -> None:
    before = "\tlibc.so.6 => /lib/libc.so.6 (0x00007f01)\nundefined symbol: main_hook\t(plugin.so)\n"
    after = before.replace("7f01", "7f02") + "undefined symbol: inflate, version Z\t(curl)\n\tlibz.so.1 => not found\n"
    assert complaints(before, after) == ("undefined symbol: inflate, version Z\t(curl)", "libz.so.1 => not found")
    assert complaints(before, before.replace("7f01", "7f02")) == ()


@pytest.mark.parametrize(
    ("verdict", "actual", "is_false"),
    [
        (1, Actual.FAILS, True),
        (-1, Actual.WORKS, True),
        (None, Actual.FAILS, True),
        (0, Actual.FAILS, False),
        (0, Actual.WORKS, False),
        (None, Actual.WORKS, False),
        (1, Actual.UNKNOWN, False),
        (-1, Actual.FAILS, False),
    ],
)
def test_a_prediction_is_false_where_the_opposite_happens(verdict: int | None, actual: Actual, is_false: bool) -> None:
    outcome = SpliceOutcome(prediction(verdict), actual, ("because",))
    assert outcome.is_false == is_false
    assert outcome_from(outcome.as_value()) == outcome


def test_the_table_counts_each_verdict_with_each_outcome() -> None:
    outcomes = [SpliceOutcome(prediction(verdict), Actual.WORKS, ("x",)) for verdict in (1, 1, -1, None)]
    assert confusion(outcomes) == {
        ("1 (symbols)", Actual.WORKS): 2,
        ("-1", Actual.WORKS): 1,
        ("not applicable", Actual.WORKS): 1,
    }


def test_proposed_is_only_what_worked_with_all_that_was_tried() -> None:
    works = SpliceOutcome(prediction(1), Actual.WORKS, ("runs: bin/curl --version",))
    other = replace(works, prediction=prediction(1, consumer="8.10"))
    (proposal,) = proposals([works, other])
    assert (proposal.recipe, proposal.directive) == ("zlib", 'can_splice("zlib@=1.2", when="@=1.3")')
    assert len(proposal.evidence) == 2
    for spoiled in (
        replace(other, actual=Actual.FAILS),
        replace(other, actual=Actual.UNKNOWN),
        replace(other, prediction=prediction(-1, consumer="8.10")),
        replace(other, prediction=prediction(0, consumer="8.10")),
    ):
        assert proposals([works, spoiled]) == []
    assert len(proposals([works, SpliceOutcome(prediction(1, new="1.4"), Actual.WORKS, ("x",))])) == 2
