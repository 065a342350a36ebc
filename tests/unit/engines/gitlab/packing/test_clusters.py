"""Parts that grow together: what holds for any graph, and what parts beside each other are for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from foundation.graph import Edges
from job_creator.engines.gitlab.packing.clusters import grown
from job_creator.engines.gitlab.packing.cuts import Capacity, Weighted
from job_creator.engines.gitlab.packing.partition import part_dependencies
from tests.strategies import graphs


def weighted(edges: Edges, seconds: float = 60.0) -> Weighted:
    return Weighted(edges, dict.fromkeys(edges, seconds), dict.fromkeys(edges, 2))


@given(graphs(most=20), st.integers(1, 6), st.integers(2, 14), st.sampled_from([0.0, 0.3, 3.0]))
def test_parts_hold_every_node_once_within_the_capacity_and_in_order(
    edges: Edges, jobs: int, weight: int, trust: float
) -> None:
    counts = range(len(edges), 0, -1)
    for parts in grown(weighted(edges), Capacity(jobs, weight), counts, trust) if edges else ():
        assert sorted(node for part in parts for node in part) == sorted(edges)
        assert all(len(part) <= jobs and 2 * len(part) <= weight for part in parts)
        position = {node: index for index, part in enumerate(parts) for node in part}
        assert all(position[need] <= position[node] for node in edges for need in edges[node])


@given(graphs(most=16), st.integers(1, 6))
def test_the_same_graph_gives_the_same_parts(edges: Edges, jobs: int) -> None:
    for count in range(1, len(edges) + 1):
        found = grown(weighted(edges), Capacity(jobs, 100), [count], 0.3)
        assert found == grown(weighted(dict(sorted(edges.items(), reverse=True))), Capacity(jobs, 100), [count], 0.3)
        assert all(len(parts) <= count for parts in found)


def test_chains_that_do_not_need_each_other_run_beside_each_other() -> None:
    """Any order of them, cut in the middle, would let one wait for half of the other."""
    edges = {
        f"{chain}{place}": frozenset({f"{chain}{place - 1}"} if place else ()) for place in range(5) for chain in "ab"
    }
    (parts,) = grown(weighted(edges), Capacity(5, 100), [2], 0.3)
    assert sorted(map(sorted, parts)) == [[f"{chain}{place}" for place in range(5)] for chain in "ab"]
    assert part_dependencies(parts, edges) == (frozenset(), frozenset())


def test_what_many_need_is_a_part_that_the_others_wait_for() -> None:
    leaves = {f"{group}{number}": frozenset({f"base-{group}"}) for group in "abc" for number in range(4)}
    edges = {"root": frozenset[str](), **{f"base-{group}": frozenset({"root"}) for group in "abc"}, **leaves}
    (parts,) = grown(weighted(edges), Capacity(5, 100), [4], 0.0)
    assert part_dependencies(parts, edges)[1:] == (frozenset({0}),) * 3
    assert parts[0] == ("root",)
