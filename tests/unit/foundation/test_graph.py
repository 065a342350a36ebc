"""The build graph."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.graph import (
    BuildGraph,
    Edges,
    GraphError,
    Package,
    between,
    critical_path,
    finish_times,
    not_implied,
    reachable,
    reduced,
    remaining_times,
    topological_order,
    union,
)
from tests.strategies import graphs


@given(graphs())
def test_dependencies_come_first(edges: Edges) -> None:
    seen: set[str] = set()
    for node in topological_order(edges):
        assert edges[node] <= seen
        seen.add(node)
    assert seen == set(edges)


@given(graphs())
def test_the_reduction_has_the_same_order_and_not_one_edge_too_many(edges: Edges) -> None:
    less = reduced(edges)
    assert reachable(less) == reachable(edges)
    for node in less:
        for dependency in less[node]:
            without = {**less, node: less[node] - {dependency}}
            assert reachable(without) != reachable(edges)


@given(graphs(), st.randoms())
def test_no_order_is_lost_when_nodes_in_between_are_left_out(edges: Edges, chance: random.Random) -> None:
    wanted = {node for node in edges if chance.random() < 0.5}
    full = reachable(edges)
    assert reachable(between(edges, wanted)) == {node: full[node] & wanted for node in wanted}


@given(graphs(), graphs())
def test_not_implied_finds_exactly_the_orders_that_are_lost(edges: Edges, other: Edges) -> None:
    nodes = {*edges, *other}
    weaker = {node: frozenset(one for one in edges.get(node, frozenset()) if hash(one) % 2) for node in nodes}
    full = {node: edges.get(node, frozenset()) for node in nodes}
    reach = reachable(weaker)
    expected = [(node, one) for node in sorted(full) for one in sorted(full[node]) if one not in reach[node]]
    assert list(not_implied(full, weaker)) == expected


@given(graphs(), st.randoms())
def test_times_agree_with_each_other(edges: Edges, chance: random.Random) -> None:
    seconds = {node: float(chance.randrange(1, 9)) for node in edges}
    done, rest = finish_times(edges, seconds), remaining_times(edges, seconds)
    end = max(done.values())
    assert max(rest.values()) == end
    assert all(done[node] + rest[node] - seconds[node] <= end for node in edges)
    path = critical_path(edges, seconds)
    assert sum(seconds[node] for node in path) == end
    assert all(before in edges[after] for before, after in pairwise(path))


def test_a_circle_is_named() -> None:
    with pytest.raises(GraphError) as caught:
        topological_order({"a": frozenset("b"), "b": frozenset("a")})
    assert set(caught.value.circle) == {"a", "b"}


def test_a_union_has_all_packages_and_edges() -> None:
    one = BuildGraph({"a": Package("a", "1"), "b": Package("b", "1")}, {"a": frozenset("b"), "b": frozenset()})
    other = BuildGraph({"a": Package("a", "1"), "c": Package("c", "1")}, {"a": frozenset("c"), "c": frozenset()})
    both = union([one, other])
    assert both.edges == {"a": frozenset("bc"), "b": frozenset(), "c": frozenset()}
    assert set(both.packages) == set("abc")
