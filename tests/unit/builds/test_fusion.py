"""Which steps share a job, and that nothing takes longer for it."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from foundation.graph import Edges, finish_times, reachable, topological_order
from job_creator.builds.fusion import SHARE, FusionRules, fuse, quotient, seconds_of
from job_creator.builds.fusion_choice import LONGER, RUNNERS, choose
from job_creator.builds.scheduling import makespan, urgency
from job_creator.engines.gitlab.packing.layout import ROOT, PipelineLayout
from job_creator.engines.gitlab.simulation import lay_out
from tests.strategies import graphs

RULES = FusionRules(start=45, work=900, packages=6)


def times(edges: Edges, seed: int) -> dict[str, float]:
    chance = random.Random(seed)
    return {step: 45 + chance.choice([5, 30, 60, 600, 3000]) * chance.random() for step in sorted(edges)}


@given(graphs(most=30), st.integers(0, 99), st.integers(1, 3))
def test_groups_hold_each_step_once_and_wait_for_each_other_in_an_order(edges: Edges, seed: int, kinds: int) -> None:
    kind = {step: random.Random(step).randrange(kinds) for step in edges}
    seconds = times(edges, seed)
    groups = fuse(edges, [seconds, dict.fromkeys(edges, 90.0)], RULES, kind.__getitem__)
    assert sorted(step for steps in groups for step in steps) == sorted(edges)
    needs = quotient(edges, groups)
    topological_order(needs)
    before = reachable(edges)
    for steps in groups:
        assert len({kind[step] for step in steps}) == 1
        assert len(steps) == 1 or len(steps) <= RULES.packages
        assert len(steps) == 1 or sum(seconds[step] - RULES.start for step in steps) <= RULES.work + 1e-6
        # In a job dependencies come first.
        assert not any(steps[later] in before[steps[first]] for later in range(len(steps)) for first in range(later))


@given(graphs(most=30), st.integers(0, 99))
def test_no_path_becomes_longer_than_a_share_of_the_critical_one(edges: Edges, seed: int) -> None:
    for seconds in (times(edges, seed), dict.fromkeys(edges, 90.0)):
        groups = fuse(edges, [times(edges, seed), dict.fromkeys(edges, 90.0)], RULES, lambda _: 0)
        found = finish_times(quotient(edges, groups), seconds_of(groups, seconds, RULES.start))
        usual = max(finish_times(edges, seconds).values())
        assert max(found.values()) <= max(usual, SHARE * usual) + 1e-6


@given(graphs(most=30), st.integers(0, 99), st.booleans())
def test_what_is_chosen_takes_no_longer_in_the_simulator(edges: Edges, seed: int, measured: bool) -> None:
    seconds = times(edges, seed)
    chosen = choose(edges, seconds, edges if measured else (), RULES, lambda _: 0)
    assert chosen.after <= chosen.before + 1e-6
    needs, taken = quotient(edges, chosen.groups), seconds_of(chosen.groups, seconds, RULES.start)
    order = urgency(needs, taken)
    whole, fused = urgency(edges, seconds), lay_out(PipelineLayout(needs, order, (), order).running(taken), ROOT)
    for runners in RUNNERS:
        usual = makespan(whole, edges, seconds, runners)
        assert makespan(order, needs, taken, runners) == fused.run(runners).makespan
        assert fused.run(runners).makespan <= LONGER * usual + 1e-6


def test_the_last_packages_of_a_chain_share_a_job_and_a_long_one_stays_alone() -> None:
    edges = {"a": frozenset[str](), "b": frozenset("a"), "c": frozenset("b"), "long": frozenset("c")}
    seconds = {"a": 60.0, "b": 60.0, "c": 60.0, "long": 4000.0}
    assert choose(edges, seconds, (), FusionRules(), lambda _: 0).groups == (("a", "b", "c"), ("long",))


def test_the_same_graph_gives_the_same_groups() -> None:
    names = [f"p{number}" for number in range(200)]
    edges = {
        name: frozenset(random.Random(name).sample(names[:number], min(number, 2))) for number, name in enumerate(names)
    }
    seconds = dict.fromkeys(names, 90.0)
    turned = {name: edges[name] for name in reversed(names)}
    assert choose(edges, seconds, (), RULES, lambda _: 0) == choose(turned, seconds, (), RULES, lambda _: 0)
