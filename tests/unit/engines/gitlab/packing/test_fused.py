"""Pipelines in which packages share jobs."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.graph import Edges, reachable
from job_creator.engines.gitlab.objects import expand
from job_creator.engines.gitlab.packing.layout import ROOT
from job_creator.engines.gitlab.packing.summary import summarize
from job_creator.engines.gitlab.simulation import lay_out
from job_creator.site.gitlab import Fuse
from tests.samples import SITE
from tests.spack_ci import fusable, generated, spack_hash
from tests.strategies import graphs
from tests.unit.engines.gitlab.packing.packed import worked

CHAIN: Any = {"a": [], "b": ["a"], "c": ["b"], "llvm": ["c"], "d": ["llvm"]}


def jobs(edges: Any, fuse: Fuse = 900, text: str = SITE, **options: Any) -> dict[str, dict[str, Any]]:
    """The package jobs by the names of their packages, in the order in which they are built."""
    work, result = worked([fusable(generated("x", edges, **options))], fuse=fuse, text=text)
    named = {key: step.package for key, step in work.merged.steps.items()}
    return {
        " ".join(named[one] for one in work.groups[result.work.built_by[name]]): {**job, "name": name}
        for file in result.files
        for name, job in expand(file.document).items()
        if name in result.work.built_by
    }


def test_a_chain_of_cheap_packages_is_one_job_that_lists_them() -> None:
    found = jobs(CHAIN)
    assert list(found) == ["a b c", "llvm", "d"]
    fused = found["a b c"]
    length = len(fused["name"].partition("/")[2].partition(" ")[0])
    assert fused["name"] == f"c@1.0 /{spack_hash('c')[:length]} and 2 more"
    listed = " ".join(f"{one}@1.0/{spack_hash(one)[:length]}" for one in "abc")
    assert fused["variables"]["SPACKTAINERS_PACKAGES"] == listed
    assert "SPACKTAINERS_PACKAGES" not in found["llvm"]["variables"]
    folder = "jobs_scratch_dir.amd64/x/outcomes"
    assert fused["artifacts"]["reports"] == {"junit": f"{folder}/junit.xml"}
    assert folder in fused["artifacts"]["paths"]
    assert fused["artifacts"]["when"] == "always"


def test_what_is_fused_and_what_needs_it_runs_in_any_case_and_all_else_after_successes() -> None:
    found = jobs(CHAIN)
    runs = {packages: job["rules"][0]["when"] for packages, job in found.items()}
    assert runs == {"a b c": "always", "llvm": "always", "d": "on_success"}
    assert found["llvm"]["needs"] == ["env x", found["a b c"]["name"]]


def test_gates_before_a_fused_job_run_in_any_case() -> None:
    edges = {**{f"llvm{one}": [] for one in range(9)}, "a": [f"llvm{one}" for one in range(9)], "b": ["a"]}
    text = SITE.replace("    target: x86_64_v3\n", "    target: x86_64_v3\n    packages: {'llvm*': {timeout: 9h}}\n")
    work, result = worked([fusable(generated("x", edges))], fuse=900, text=text + "gitlab: {limits: {max_needs: 5}}\n")
    gates = [job for name, job in expand(result.files[0].document).items() if name.startswith("gate")]
    assert gates
    assert [len(steps) for key, steps in work.groups.items() if work.merged.steps[key].package in "ab"] == [2]
    assert all(gate["rules"] == [{"when": "always"}] for gate in gates)


@pytest.mark.parametrize(
    "what",
    [
        {"text": SITE.replace("    target:", "    jobs: {packages: {timeout: 90s}}\n    target:")},
        {"fuse": "off"},
        {"fuse": 1},
    ],
)
def test_packages_stay_alone_where_time_or_people_say_so(what: dict[str, Any]) -> None:
    assert len(jobs(CHAIN, **what)) == len(CHAIN)


def test_other_runners_and_other_environments_are_other_jobs() -> None:
    text = SITE.replace("    target:", "    packages: {b: {runner_tags: [huge]}}\n    target:")
    assert list(jobs({"a": [], "b": ["a"], "c": ["b"]}, text=text)) == ["a", "b", "c"]
    found = [fusable(generated(name, {name: [], f"{name}2": [name]})) for name in ("x", "y")]
    work, _ = worked(found, fuse=900)
    assert {len({work.merged.steps[one].environment for one in steps}) for steps in work.groups.values()} == {1}
    assert len(work.groups) == 2


def test_an_environment_that_builds_in_its_own_way_is_left_as_it_is() -> None:
    work, _ = worked([generated("x", CHAIN)], fuse=900)
    assert all(len(steps) == 1 for steps in work.groups.values())


def test_the_summary_says_what_is_shared_and_what_is_a_guess() -> None:
    _, result = worked([fusable(generated("x", CHAIN))], fuse="auto")
    summary = summarize(result, 30.0, {})
    assert (summary.package_jobs, summary.to_build, summary.unmeasured) == (3, 5, 5)
    assert summary.runner_seconds == summary.runner_seconds_apart - 2 * 45
    text = "\n".join(summary.lines())
    assert "packages share 3 jobs: " in text
    assert "how long 5 of 5 packages take is a guess" in text
    off = summarize(worked([fusable(generated("x", CHAIN))], fuse="off")[1], 30.0, {})
    assert off.unmeasured == 0
    assert "share" not in "\n".join(off.lines())


@given(graphs(most=20), st.integers(1, 12), st.sampled_from(["auto", 60, 900]))
def test_every_package_is_in_one_job_after_what_it_needs(edges: Edges, max_jobs: int, fuse: Fuse) -> None:
    work, result = worked([fusable(generated("x", edges))], max_jobs=max_jobs, fuse=fuse)
    assert sorted(one for steps in work.groups.values() for one in steps) == sorted(work.merged.steps)
    job_of = {one: key for key, steps in work.groups.items() for one in steps}
    before = reachable(result.layout.enforced)
    for step, needs in work.merged.edges.items():
        for need in needs:
            first, second = job_of[need], job_of[step]
            if first == second:
                steps = work.groups[first]
                assert steps.index(need) < steps.index(step)
            else:
                assert first in before[second]
    assert sum(file.packages for file in result.files) == len(edges)
    assert all(not file.limits.findings for file in result.files)


@given(graphs(most=20), st.integers(2, 12))
def test_sharing_jobs_lengthens_nothing_by_more_than_2_percent_also_where_pipelines_are_split(
    edges: Edges, max_jobs: int
) -> None:
    """Against the same packages with a job each: as expected, and on average of durations that no plan has seen."""
    found = [fusable(generated("x", edges))]
    (work, together), (lonely, apart) = (worked(found, max_jobs=max_jobs, fuse=fuse) for fuse in ("auto", "off"))
    runners = (10, 40, 100, 1000)
    ratios = []
    for scenario in work.judges.scenarios:
        shared, alone = (
            lay_out(packed.layout.running(jobs.taken(scenario)), ROOT)
            for jobs, packed in ((work, together), (lonely, apart))
        )
        ratios.append([shared.run(count).makespan / alone.run(count).makespan for count in runners])
    expected, *others = ratios
    assert max(expected) <= 1.02
    assert max(sum(column) / len(column) for column in zip(*others, strict=True)) <= 1.02
