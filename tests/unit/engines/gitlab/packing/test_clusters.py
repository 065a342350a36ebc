"""Clusters that grow together: what holds for any graph, and what children beside each other are for."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from foundation.graph import Edges, topological_order
from job_creator.engines.gitlab.packing.clusters import grown
from job_creator.engines.gitlab.packing.layout import Capacity, Room, Weighted, laid_out
from job_creator.engines.gitlab.packing.search import Search
from tests.strategies import graphs


def weighted(edges: Edges, seconds: float = 60.0) -> Weighted:
    return Weighted(edges, dict.fromkeys(edges, seconds), dict.fromkeys(edges, 2))


def room(root: int, child: int, children: int, weight: int = 100) -> Room:
    return Room(Capacity(root, weight), Capacity(child, weight), children)


@given(
    graphs(most=20),
    st.integers(0, 6),
    st.integers(1, 6),
    st.integers(1, 6),
    st.integers(2, 14),
    st.sampled_from((0.0, 1.0)),
)
def test_clusters_hold_every_node_once_within_the_room_and_can_be_ordered(
    edges: Edges, root: int, child: int, children: int, weight: int, trust: float
) -> None:
    seconds = {node: 60.0 * (1 + 40 * (index % 7 == 3)) for index, node in enumerate(sorted(edges))}
    graph, most = replace(weighted(edges), seconds=seconds), room(root, child, children, weight)
    clusters = grown(graph, most, trust)
    if clusters is None:
        return
    for found in (clusters, Search(graph, clusters, most, graph.seconds).run(100)):
        assert sorted(node for nodes in found for node in nodes) == sorted(edges)
        alone = [nodes for nodes in found if len(nodes) == 1]
        assert len(alone) <= root
        assert 2 * len(alone) <= weight
        assert len(found) - len(alone) <= children
        assert all(len(nodes) <= child and 2 * len(nodes) <= weight for nodes in found if len(nodes) > 1)
        topological_order(laid_out(graph, [one for (one,) in alone], [one for one in found if len(one) > 1]).waits)


@given(graphs(most=16), st.integers(1, 6), st.integers(1, 6))
def test_the_same_graph_gives_the_same_clusters(edges: Edges, root: int, children: int) -> None:
    turned = weighted(dict(sorted(edges.items(), reverse=True)))
    assert grown(weighted(edges), room(root, 6, children), 1.0) == grown(turned, room(root, 6, children), 1.0)


def test_chains_that_do_not_need_each_other_run_beside_each_other() -> None:
    """Any order of them, cut in the middle, would let one wait for half of the other."""
    edges = {
        f"{chain}{place}": frozenset({f"{chain}{place - 1}"} if place else ()) for place in range(5) for chain in "ab"
    }
    found = grown(weighted(edges), room(0, 5, 2), 0.0)
    assert found is not None
    assert sorted(map(sorted, found)) == [[f"{chain}{place}" for place in range(5)] for chain in "ab"]


def test_what_many_need_stands_in_the_root_and_what_needs_the_same_in_a_child() -> None:
    leaves = {f"{group}{number}": frozenset({f"base-{group}"}) for group in "abc" for number in range(4)}
    edges = {"first": frozenset[str](), **{f"base-{group}": frozenset({"first"}) for group in "abc"}, **leaves}
    graph, most = weighted(edges), room(4, 5, 3)
    clusters = grown(graph, most, 0.0)
    assert clusters is not None
    found = Search(graph, clusters, most, graph.seconds).run(1000)
    layout = laid_out(graph, [nodes[0] for nodes in found if len(nodes) == 1], [one for one in found if len(one) > 1])
    assert layout.makespan(graph.seconds) == 3 * 60.0
    assert "first" in layout.root
    assert len(layout.parts) == 3


def test_what_is_expected_to_take_long_does_not_wait_for_what_takes_long() -> None:
    """Two pairs may stand together; one of them would let the long packages wait for each other."""
    edges = {
        "start": frozenset[str](),
        **{name: frozenset({"start"}) for name in ("long-1", "short-1", "other-1")},
        "long-2": frozenset({"short-1"}),
        "short-2": frozenset({"other-1"}),
    }
    seconds = {name: 7200.0 if name.startswith("long") else 60.0 for name in edges}
    graph = replace(weighted(edges), seconds=seconds)
    found = grown(graph, room(2, 4, 2), 1.0)
    assert found is not None
    root = [nodes[0] for nodes in found if len(nodes) == 1]
    layout = laid_out(graph, root, [nodes for nodes in found if len(nodes) > 1])
    assert layout.makespan(seconds) == 60.0 + 60.0 + 7200.0
