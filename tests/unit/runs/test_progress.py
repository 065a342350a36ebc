"""How far a run is: against a description of the same that is slow and obvious."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from foundation.graph import Edges, reachable
from job_creator.runs.progress import RunProgress, StepState
from tests.strategies import graphs


@given(graphs(), st.integers(0, 1 << 20), st.booleans(), st.floats(0, 0.4))
def test_whatever_happens_every_step_is_built_or_lost(edges: Edges, seed: int, ahead: bool, risk: float) -> None:
    chance = random.Random(seed)
    progress = RunProgress(edges, dict.fromkeys(edges, 1.0), ahead=ahead)
    running: list[str] = []
    failed: set[str] = set()
    while not progress.is_done:
        while progress.startable and (not running or chance.random() < 0.7):
            step = progress.next()
            states = {need: progress.state(need) for need in edges[step]}
            allowed = {StepState.BUILT, StepState.RUNNING} if ahead else {StepState.BUILT}
            assert set(states.values()) <= allowed
            assert set(progress.after(step)) == {need for need, state in states.items() if state is StepState.RUNNING}
            running.append(step)
        # A scheduler ends what it has in the order of the needs.
        ready = [one for one in running if not any(need in running for need in edges[one])]
        step = chance.choice(ready)
        running.remove(step)
        lacks = [need for need in edges[step] if progress.state(need) is not StepState.BUILT]
        if lacks:
            # It was cancelled, because something before it failed.
            if not progress.again(step):
                assert progress.lacks(step) in lacks
                list(progress.lost(step))
        elif chance.random() < risk:
            failed.add(step)
            for above, lacking in progress.lost(step):
                assert lacking in edges[above]
        elif chance.random() < risk:
            assert progress.again(step)
        else:
            progress.built(step)
    below = reachable(edges)
    for step in edges:
        is_lost = step in failed or bool(below[step] & failed)
        assert progress.state(step) is (StepState.LOST if is_lost else StepState.BUILT)


def test_the_step_before_the_longest_chain_comes_first() -> None:
    edges = {"short": frozenset[str](), "long": frozenset[str](), "after": frozenset({"long"})}
    progress = RunProgress(edges, {"short": 5.0, "long": 1.0, "after": 10.0}, ahead=False)
    assert [progress.next(), progress.next()] == ["long", "short"]


def test_nothing_is_given_ahead_of_what_is_given_again() -> None:
    """Slurm cancels what waits for a job that was lost; both are submitted anew, in their order."""
    edges = {"a": frozenset[str](), "b": frozenset({"a"}), "c": frozenset({"b"})}
    progress = RunProgress(edges, dict.fromkeys(edges, 1.0), ahead=True)
    assert [progress.next(), progress.next()] == ["a", "b"]
    assert progress.again("a")
    assert progress.again("b")
    assert [progress.next() for _ in range(progress.startable)] == ["a"]
    assert [progress.next() for _ in range(progress.startable)] == ["b"]
    assert progress.after("c") == ("b",)
