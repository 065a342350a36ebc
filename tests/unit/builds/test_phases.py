"""Spec groups as phases."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.errors import InvalidInputError
from foundation.graph import Edges, between, reachable, reduced
from foundation.spack.groups import all_needs, in_order
from job_creator.builds.merge import merge
from job_creator.builds.phases import phase_of
from tests.spack_ci import generated, spack_hash
from tests.strategies import graphs

CHAIN = {"gcc": ["zlib"], "zlib": [], "app": ["zlib"], "tool": []}
"""`app` does not depend on `gcc`, and both on `zlib`."""


def hashes(*nodes: str) -> frozenset[str]:
    return frozenset(map(spack_hash, nodes))


def test_a_group_waits_for_the_whole_of_what_it_needs() -> None:
    found = generated(
        "x",
        CHAIN,
        groups={"gcc": "compiler", "app": "apps", "tool": "apps"},
        needs={"compiler": [], "apps": ["compiler"]},
    )
    merged = merge([found.builds])
    # What both need belongs to the earlier group.
    assert merged.edges == {
        spack_hash("zlib"): frozenset(),
        spack_hash("gcc"): hashes("zlib"),
        spack_hash("app"): hashes("gcc"),
        spack_hash("tool"): hashes("gcc"),
    }
    assert merged.unphased == ()


def test_what_is_up_to_date_hides_no_group_before_it() -> None:
    """`b` needs `a` and has nothing to build; `c` needs `b`."""
    found = generated(
        "x",
        {"one": [], "two": [], "three": []},
        built=["one", "three"],
        groups={"one": "a", "two": "b", "three": "c"},
        needs={"a": [], "b": ["a"], "c": ["b"]},
    )
    assert merge([found.builds]).edges[spack_hash("three")] == hashes("one")


def test_groups_without_needs_are_no_phases() -> None:
    found = generated("x", CHAIN, groups={"gcc": "a", "app": "b"}, needs={"a": [], "b": []})
    assert merge([found.builds]).edges == merge([generated("x", CHAIN).builds]).edges


def test_containers_that_want_opposite_orders_are_named() -> None:
    nodes: dict[str, list[str]] = {"left": [], "right": []}
    first = generated("a", nodes, groups={"left": "one", "right": "two"}, needs={"one": [], "two": ["one"]})
    second = generated("b", nodes, groups={"left": "two", "right": "one"}, needs={"one": [], "two": ["one"]})
    merged = merge([second.builds, first.builds])
    assert merged.edges[spack_hash("right")] == hashes("left")
    assert merged.edges[spack_hash("left")] == frozenset()
    assert merged.unphased == ("b",)


def test_groups_in_a_circle_are_a_fault() -> None:
    with pytest.raises(InvalidInputError, match="the groups a, b need each other in a circle"):
        generated("x", CHAIN, groups={"gcc": "a", "app": "b"}, needs={"a": ["b"], "b": ["a"]})


@given(graphs(), st.randoms())
def test_phases_add_just_the_order_of_groups_and_no_circle(edges: Edges, chance: random.Random) -> None:
    names = ["default", *(f"g{number}" for number in range(chance.randrange(4)))]
    chance.shuffle(names)
    needs = {
        name: frozenset(one for one in names[:at] if chance.random() < 0.5) if name != "default" else frozenset[str]()
        for at, name in enumerate(names)
    }
    groups = {node: chance.choice(names) for node in edges if chance.random() < 0.5}
    built = {node for node in edges if chance.random() < 0.8}
    found = generated("x", edges, built=built, groups=groups, needs=needs)
    merged = merge([found.builds])
    if not built:
        assert merged.edges == {}
        return
    assert merged.edges == reduced(merged.edges)
    assert merged.unphased == ()
    locked = {spack_hash(node): hashes(*dependencies) for node, dependencies in edges.items()}
    phases = phase_of(found.builds.phases, locked) if any(needs.values()) else {}
    order = {
        step: {
            other for other in merged.steps if step in phases and phases.get(other) in all_needs(needs)[phases[step]]
        }
        for step in merged.steps
    }
    least = between(locked, merged.steps)
    assert reachable(merged.edges) == reachable({step: least[step] | order[step] for step in merged.steps})
    # A spec is in no later group than what depends on it.
    rank = {group: at for at, group in enumerate(in_order(needs))}
    assert all(rank[phases[one]] <= rank[phases[node]] for node in phases for one in locked[node])
