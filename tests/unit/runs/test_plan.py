"""What a run would build."""

from __future__ import annotations

import random
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.errors import NotThereError
from foundation.graph import BuildGraph, Edges, Package, between, reachable, topological_order
from job_creator.runs.plan import RunPlan, Selection, graph_of, make_plan, without
from tests.build_runs import locked
from tests.strategies import graphs


def graph(edges: Edges, *, external: frozenset[str] = frozenset()) -> BuildGraph:
    return BuildGraph({one: Package(one, "1", one in external) for one in edges}, edges)


def plan(
    needs: Mapping[str, str], present: str = "", *only: str, dependents: bool = False, external: str = ""
) -> RunPlan:
    edges = {one: frozenset(below) for one, below in needs.items()}
    selection = Selection(only, dependents)
    return make_plan({"all": graph(edges, external=frozenset(external))}, set(present), selection)


CHAIN = {"a": "", "b": "a", "c": "b", "d": "a"}


@given(graphs(), st.randoms(use_true_random=False))
def test_all_that_is_lacking_is_built_in_the_order_of_the_lockfile(edges: Edges, chance: random.Random) -> None:
    names = sorted(edges)
    present = {one for one in names if chance.random() < 0.3}
    external = frozenset(one for one in names if one not in present and chance.random() < 0.2)
    made = make_plan({"all": graph(edges, external=external)}, present)
    assert made.steps.keys() == set(names) - present - external
    assert reachable(made.edges) == reachable(between(edges, made.steps))
    assert made.present == len(present)
    assert made.external == len(external)
    assert made.left_out == 0


@given(graphs(), st.integers(0, 100))
def test_a_plan_shrinks_as_the_cache_fills(edges: Edges, share: int) -> None:
    """What a second run plans is the rest of the first one's plan."""
    first = make_plan({"all": graph(edges)}, ())
    done = topological_order(edges)[: len(edges) * share // 100]
    again = make_plan({"all": graph(edges)}, done)
    rest = without(first, done)
    assert (rest.steps, rest.present) == (again.steps, again.present)
    assert reachable(rest.edges) == reachable(again.edges)


@pytest.mark.parametrize(
    ("only", "dependents", "expected", "left_out"),
    [
        ((), False, "abcd", 0),
        (("b",), False, "ab", 2),
        (("b", "d"), False, "abd", 1),
        (("b",), True, "abc", 1),
        (("a",), True, "abcd", 0),
    ],
)
def test_a_selection_brings_what_it_needs(
    only: tuple[str, ...], dependents: bool, expected: str, left_out: int
) -> None:
    made = plan(CHAIN, "", *only, dependents=dependents)
    assert "".join(made.steps) == expected
    assert made.left_out == left_out


def test_what_others_need_counts_only_if_it_is_selected() -> None:
    made = plan(CHAIN, "a", "b", external="d")
    assert str(made) == "1 to build, 1 present, 0 external, 1 left out"


def test_a_hash_is_named_by_its_first_letters() -> None:
    lock = locked({"zlib": (), "hdf5": ("zlib",)})
    hash_ = next(key for key, one in lock.specs.items() if one.name == "zlib")
    for text in (hash_[:4], f"/{hash_[:7]}", hash_):
        made = make_plan({"all": graph_of(lock)}, (), Selection((text,)))
        assert [step.named for step in made.steps.values()] == ["zlib@1.0"]


@pytest.mark.parametrize("text", ["no-such", "zli", "/zl"])
def test_what_names_nothing_is_told(text: str) -> None:
    with pytest.raises(NotThereError, match=f"--only {text}: no package"):
        make_plan({"all": graph_of(locked({"zlib": ()}))}, (), Selection((text,)))


def test_what_two_environments_lack_is_built_once_in_the_first() -> None:
    one, other = (graph_of(locked({"zlib": (), name: ("zlib",)})) for name in ("x", "y"))
    made = make_plan({"second": one, "first": other}, ())
    assert {step.package: step.environment for step in made.steps.values()} == {
        "zlib": "first",
        "x": "second",
        "y": "first",
    }
