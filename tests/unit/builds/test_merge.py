"""Merging the pipelines of several containers."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.errors import InvalidInputError
from foundation.graph import Edges, between, reachable
from job_creator.builds.merge import merge
from job_creator.builds.steps import Demand, EnvironmentBuilds
from job_creator.engines.gitlab.generated import Generated
from job_creator.site.runners import Resources
from tests.spack_ci import generated, recording, spack_hash
from tests.strategies import graphs


def lacked(*found: Generated) -> list[EnvironmentBuilds]:
    return [one.builds for one in found]


def hashed(edges: Edges) -> dict[str, frozenset[str]]:
    return {spack_hash(node): frozenset(map(spack_hash, edges[node])) for node in edges}


@given(graphs(), st.randoms(), st.sampled_from(["0.21.3", "0.23.1", "1.1.0"]))
def test_every_spec_is_built_once_and_no_order_is_lost(edges: Edges, chance: random.Random, version: str) -> None:
    """D2, D4, D8: needs were thrown away, and the first file found decided."""
    containers = []
    for number in range(3):
        kept = {node for node in edges if chance.random() < 0.7}
        closed = {node: edges[node] for node in edges if node in kept or any(node in edges[one] for one in edges)}
        closed = {node: dependencies & closed.keys() for node, dependencies in closed.items()}
        built = {node for node in closed if chance.random() < 0.8}
        containers.append((generated(f"c{number}", closed, built=built, version=version), closed, built))
    merged = merge(one.builds for one, _, _ in containers)
    wanted = {spack_hash(node) for _, _, built in containers for node in built}
    assert set(merged.steps) == wanted
    union: dict[str, frozenset[str]] = {}
    for _, closed, _ in containers:
        for node, dependencies in hashed(closed).items():
            union[node] = union.get(node, frozenset()) | dependencies
    assert reachable(merged.edges) == reachable(between(union, wanted & union.keys()))
    shuffled = [one.builds for one, _, _ in containers]
    chance.shuffle(shuffled)
    assert merge(shuffled) == merged


def test_an_edge_across_what_is_up_to_date_is_restored() -> None:
    """spack#39656: a job failed because what it needed was not in the cache yet."""
    chain = {"a": [], "b": ["a"], "c": ["b"]}
    merged = merge(lacked(generated("x", chain, built=["a", "c"], version="0.23.1")))
    assert merged.edges[spack_hash("c")] == {spack_hash("a")}
    assert merged.restored == ((spack_hash("c"), spack_hash("a")),)
    assert merged.up_to_date == 1
    assert merge(lacked(generated("x", chain, built=["a", "c"]))).restored == ()


def test_without_a_lockfile_the_needs_alone_count_and_that_is_said() -> None:
    merged = merge(lacked(generated("x", {"a": [], "b": ["a"]}, locked=False), generated("y", {"c": []})))
    assert merged.edges[spack_hash("b")] == {spack_hash("a")}
    assert merged.unlocked == ("x",)


def test_what_another_container_builds_is_waited_for() -> None:
    """Generated at different moments: one Spack found it in the cache, the other one did not."""
    merged = merge(lacked(generated("x", {"a": [], "b": ["a"]}, built=["b"]), generated("y", {"a": []})))
    assert merged.edges[spack_hash("b")] == {spack_hash("a")}


def test_each_step_keeps_one_environment_whatever_the_order_of_files() -> None:
    first, second = generated("x", {"a": []}), generated("y", {"a": []})
    for order in ([first, second], [second, first]):
        merged = merge(lacked(*order))
        assert merged.steps[spack_hash("a")].environment == "x"
        assert merged.steps_read == 2


def test_different_lines_of_spack_are_an_error_that_says_so() -> None:
    with pytest.raises(InvalidInputError) as caught:
        merge(lacked(recording("1.1", "hdf5-tools"), recording("0.23", "system-benchmarks")))
    assert "written by Spack 0.23, but hdf5-tools/pipeline.yml by Spack 1.1" in str(caught.value)


@pytest.mark.parametrize("line", ["0.23", "1.1"])
def test_recordings_of_one_line_share_their_specs(line: str) -> None:
    both = lacked(recording(line, "hdf5-tools"), recording(line, "system-benchmarks"))
    merged = merge(both)
    assert merged.steps_read == sum(len(one.steps) for one in both) > len(merged.steps)
    assert merged == merge(reversed(both))


def test_a_step_demands_what_is_known_of_its_package() -> None:
    demands = {"a": Demand(5.0, Resources(memory="4Gi"))}
    merged = merge(lacked(generated("x", {"a": [], "b": []})), lambda package: demands.get(package, Demand()))
    assert merged.steps[spack_hash("a")].demand.resources.memory == "4Gi"
    assert merged.seconds == {spack_hash("a"): 5.0, spack_hash("b"): Demand().seconds}


def test_a_step_says_what_it_runs_and_where() -> None:
    (step,) = merge(lacked(generated("x", {"a": []}))).steps.values()
    assert (step.environment, str(step)) == ("x", f"a@1.0 /{spack_hash('a')}")
    assert any("spack ci rebuild" in line for line in step.command)
