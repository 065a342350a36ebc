"""Pipelines that fill the build cache."""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from foundation.errors import LimitExceededError
from foundation.graph import Edges, finish_times, reachable, remaining_times, topological_order
from foundation.yaml_io import dump, load
from job_creator.engines.gitlab.generated import Generated, read_generated
from job_creator.engines.gitlab.limits import check
from job_creator.engines.gitlab.objects import expand
from job_creator.engines.gitlab.packing.layout import ROOT, Capacity, Room, Weighted
from job_creator.engines.gitlab.packing.partition import partition
from job_creator.engines.gitlab.packing.pipelines import Packed, PackedFile
from job_creator.engines.gitlab.packing.search import Search
from job_creator.engines.gitlab.packing.summary import files_by_path, summarize
from job_creator.engines.gitlab.simulation import lay_out, prepare
from job_creator.scripts.rendering import render
from tests.pipeline_checks import schema_errors
from tests.samples import BRANCH, MERGE_REQUEST, REPOSITORY, SITE, site
from tests.spack_ci import fusable, generated, pipeline, recording, renamed, spack_hash
from tests.strategies import graphs
from tests.unit.engines.gitlab.packing.packed import ENVIRONMENT, hashed, packed, worked

LEAVES = [f"leaf{number:03}" for number in range(60)]


def package_jobs(result: Packed, *files: PackedFile) -> dict[str, dict[str, Any]]:
    """The jobs that build packages, of all pipelines or of these, by DAG hash."""
    return {
        result.work.built_by[name]: {**job, "name": name}
        for file in files or result.files
        for name, job in expand(file.document).items()
        if name in result.work.built_by
    }


def enforced(result: Packed) -> dict[str, frozenset[str]]:
    """What each package really waits for: needs in its pipeline, and all of the children before that or before it."""
    root, *children = result.files
    jobs = expand(root.document)
    built = result.work.built_by
    nodes = {name: {built[name]: frozenset[str]()} for name in jobs if name in built}
    nodes |= {f"packages {number}": _inside(result, child) for number, child in enumerate(children, start=1)}
    earlier = reachable({name: _local_needs(job) & set(jobs) for name, job in jobs.items()})
    return {
        node: needs.union(*(nodes[other].keys() for other in earlier[name] & set(nodes)))
        for name, inside in nodes.items()
        for node, needs in inside.items()
    }


def _local_needs(job: Mapping[str, Any]) -> frozenset[str]:
    needs = [need if isinstance(need, dict) else {"job": need} for need in job.get("needs", [])]
    return frozenset(need["job"] for need in needs if "pipeline" not in need)


def _inside(result: Packed, file: PackedFile) -> dict[str, frozenset[str]]:
    jobs = expand(file.document)
    built = result.work.built_by
    full = reachable({name: _local_needs(job) for name, job in jobs.items()})
    return {built[name]: frozenset(built[one] for one in full[name] if one in built) for name in jobs if name in built}


@example({f"n{one:02}": frozenset(f"n{other:02}" for other in range(one)) for one in range(12)}, 1, 5)
@given(graphs(most=20), st.integers(1, 8), st.integers(5, 8))
def test_every_package_once_in_order_within_all_limits(edges: Edges, max_jobs: int, max_needs: int) -> None:
    text = SITE + f"gitlab: {{limits: {{max_needs: {max_needs}}}}}\n"
    _, result = packed([generated("x", edges)], text=text, max_jobs=max_jobs)
    built = [key for file in result.files for key in package_jobs(result, file)]
    assert sorted(built) == sorted(map(spack_hash, edges))
    wanted = reachable(hashed(edges))
    real = enforced(result)
    assert all(wanted[node] <= real[node] for node in wanted)
    assert real == reachable(result.layout.enforced)
    if len(result.files) == 1:
        assert real == wanted
    for depth, file in ((1 if index == 0 else 2, file) for index, file in enumerate(result.files)):
        limits = site(text).gitlab.limits
        assert check(file.document, limits, depth=depth).findings == ()
        assert schema_errors(file.document) == []
        assert file.packages <= max_jobs
    # Nothing deadlocks, and triggers find their files.
    prepare(files_by_path(result), result.files[0].name, lambda *_: 1.0).run(3)


@settings(max_examples=15)
@given(graphs(most=25), st.randoms())
def test_the_same_input_gives_the_same_bytes(edges: Edges, chance: random.Random) -> None:
    nodes = list(edges)
    chance.shuffle(nodes)
    shuffled = {node: edges[node] for node in nodes}
    first, second = (
        [dump(file.document) for file in packed([generated("x", one), generated("y", one)], max_jobs=5)[1].files]
        for one in (edges, shuffled)
    )
    assert first == second


@pytest.mark.parametrize("line", ["0.21", "0.23", "1.1"])
def test_recordings_become_one_pipeline_that_gitlab_accepts(line: str) -> None:
    containers = {"0.21": ["system-benchmarks", "toy-noop"]}.get(line, ["hdf5-tools", "system-benchmarks"])
    merged, result = packed(recording(line, one) for one in containers)
    (file,) = result.files
    assert len(package_jobs(result, file)) == len(merged.steps)
    assert schema_errors(file.document) == []
    assert file.limits.findings == ()


def test_the_pipeline_is_smaller_than_what_spack_wrote() -> None:
    """D7: the first system made it three times larger."""
    _, result = packed([recording("1.1", "hdf5-tools")])
    size = next(room for room in result.files[0].limits.headroom if "parsed" in room.name)
    assert size.used / len(result.layout.root) < 2600


@pytest.mark.parametrize(("packages", "share"), [(1_480, 0.75), (2_700, 1.0)])
def test_large_stacks_are_one_pipeline_within_gitlabs_default_limits(packages: int, share: float) -> None:
    """Of four environments; names and hashes are as long as those of recorded stacks, needs as many: 2.1 a package."""
    found = []
    for container in ("compilers", "math", "python", "visual"):
        names = [f"{container[0]}-package-{number:03}" for number in range(packages // 4)]
        edges = {name: names[max(0, index - 9) : index : 4][:2] for index, name in enumerate(names)}
        found.append(renamed(generated(container, edges), lambda key: sha256(key.encode()).hexdigest()[:32]))
    merged, result = packed(found)
    (file,) = result.files
    size = next(room for room in file.limits.headroom if "parsed" in room.name)
    assert sum(map(len, merged.edges.values())) > 1.9 * packages
    assert size.share <= share
    assert file.limits.findings == ()


def test_new_pushes_cancel_children_too_as_far_as_jobs_may_be_interrupted() -> None:
    """Children do not inherit `workflow: auto_cancel`; without it the first job that may not be keeps all others."""
    _, split = packed([generated("x", {"app": LEAVES, **dict.fromkeys(LEAVES, ())})], max_jobs=40)
    assert len(split.files) > 1
    for file in (*split.files, *packed([generated("x", {"a": []})])[1].files, *packed([generated("x", {})])[1].files):
        assert file.document["workflow"]["auto_cancel"] == {"on_new_commit": "interruptible"}
        for name, job in expand(file.document).items():
            assert "trigger" in job or job["interruptible"] == (name != "rebuild-index"), name


def test_what_packages_and_the_root_leave_is_kept_as_long_as_the_site_says() -> None:
    text = f"{SITE}gitlab: {{artifact_expiry: 5 days}}\n"
    found = [fusable(generated("x", {"app": LEAVES, **dict.fromkeys(LEAVES, ())}))]
    _, result = packed(found, text=text, max_jobs=40)
    jobs = [job for file in result.files for job in expand(file.document).values()]
    left = [job["artifacts"]["expire_in"] for job in jobs if "artifacts" in job]
    assert len(left) >= 61 + len(result.files)
    assert set(left) == {"5 days"}


def test_jobs_are_written_in_the_order_of_their_urgency() -> None:
    """Runners take jobs first come first served."""
    _, result = packed([generated("x", {"llvm": [], "app": ["llvm"], "small": []})])
    assert [job["name"].partition("@")[0] for job in package_jobs(result).values()] == ["llvm", "app", "small"]


def test_each_job_fetches_its_own_environment_and_nothing_else() -> None:
    _, result = packed([generated("x", {"a": [], "b": ["a"]}), generated("y", {"c": []})])
    job = package_jobs(result)[spack_hash("b")]
    assert job["needs"] == ["env x", f"a@1.0 /{spack_hash('a')}"]
    assert job["dependencies"] == ["env x"]
    assert job["variables"]["SPACK_CONCRETE_ENV_DIR"] == "jobs_scratch_dir.amd64/x/concrete_environment"
    brought = expand(result.files[0].document)["env x"]
    assert brought["needs"] == [{"pipeline": "4712", "job": "generate build cache population job for x for amd64"}]
    assert brought["artifacts"] == {"paths": ["jobs_scratch_dir.amd64/x/"], "expire_in": "2 weeks"}


@pytest.mark.parametrize(("told", "forged"), [(b"for x for amd64", b"for evil for amd64"), (b"4711", b"666")])
def test_no_pipeline_says_which_job_its_environment_is_from(told: bytes, forged: bytes) -> None:
    """Recipes could have Spack name a job of theirs, in a pipeline of theirs."""
    written = pipeline("x", {"a": []})
    assert told in written
    read = read_generated("x", "x/pipeline.yml", written.replace(told, forged))
    _, result = packed([read])
    brought = expand(result.files[0].document)["env x"]
    assert brought["needs"] == [{"pipeline": "4712", "job": "generate build cache population job for x for amd64"}]


def test_only_the_default_branch_loads_the_signing_key() -> None:
    """D66."""
    for environment, signs in ((ENVIRONMENT, True), ({**ENVIRONMENT, **BRANCH}, False), (MERGE_REQUEST, False)):
        _, result = packed([generated("x", {"a": []})], environment=environment)
        text = dump(result.files[0].document)
        assert ("SPACK_DEPLOYMENT_KEY_PRIVATE" in text) == signs
        index = expand(result.files[0].document)["rebuild-index"]
        assert "PRIVATE" not in dump(index)


def with_script(found: Generated, name: str, lines: list[str]) -> Generated:
    """With a script of its own in each job, as Spack would have written it."""
    document = load(pipeline(found.container, {"a": []}), "pipeline.yml")
    jobs = {
        key: {**job, name: lines} if "SPACK_JOB_SPEC_DAG_HASH" in str(job) else job for key, job in document.items()
    }
    return read_generated(found.container, "pipeline.yml", dump(jobs).encode())


@pytest.mark.parametrize("script", ["before_script", "script", "after_script"])
def test_no_script_of_a_merge_request_names_the_signing_key(script: str) -> None:
    found = generated("x", {"a": []})
    lines = ['spack gpg trust "$SPACK_DEPLOYMENT_KEY_PRIVATE"', "spack ci rebuild"]
    found = with_script(found, script, lines)
    services = {"sign-pkgs": {"script": ["true"], "stage": "stage-sign-pkgs", script: lines}}
    _, result = packed([replace(found, services=services)], environment=MERGE_REQUEST)
    assert "SPACK_DEPLOYMENT_KEY_PRIVATE" not in dump(result.files[0].document)
    assert package_jobs(result)[spack_hash("a")][script][-1] == "spack ci rebuild"


def test_the_resource_group_of_an_index_has_only_characters_that_gitlab_allows() -> None:
    _, result = packed([replace(generated("x", {"a": []}), mirror="oci://host.example.org:5000/cache/")])
    index = expand(result.files[0].document)["rebuild-index"]
    assert index["resource_group"] == "index host.example.org-5000/cache"


def test_the_index_is_rebuilt_once_at_the_very_end_also_after_failures() -> None:
    """D46, D47: the first file's index job survived, if that had one."""
    _, result = packed([generated("x", {"a": []}), generated("y", {"b": []})])
    document = result.files[0].document
    index = expand(document)["rebuild-index"]
    assert [name for name in document if name.startswith("rebuild-index")] == ["rebuild-index"]
    assert "needs" not in index
    assert index["stage"] == document["stages"][-1] == "index"
    assert index["rules"] == [{"when": "always"}]
    assert index["dependencies"] == []
    assert index["resource_group"] == "index cache-amd64"
    assert "update-index --keys s3://cache-amd64" in index["script"][0]
    assert index["variables"]["AWS_ACCESS_KEY_ID"] == "$AWS_CACHE_ACCESS_KEY_ID"


def test_the_site_says_how_packages_run() -> None:
    text = (
        SITE.replace(
            "    target: x86_64_v3\n",
            "    target: x86_64_v3\n    jobs: {packages: {timeout: 3h}}\n"
            "    packages: {'llvm*': {timeout: 9h, runner_tags: [huge], resources: {memory: 64Gi}}}\n",
        )
        + "gitlab: {pull_policy: if-not-present}\n"
    )
    _, result = packed([generated("x", {"llvm-amdgpu": [], "zlib": []})], text=text)
    jobs = package_jobs(result)
    llvm, zlib = jobs[spack_hash("llvm-amdgpu")], jobs[spack_hash("zlib")]
    assert (llvm["timeout"], llvm["tags"]) == ("9h", ["huge"])
    assert llvm["variables"]["KUBERNETES_MEMORY_LIMIT"] == "64Gi"
    assert (zlib["timeout"], zlib["tags"]) == ("3h", ["big"])
    assert zlib["image"] == {
        "name": "registry.example.org/builder:1",
        "entrypoint": [""],
        "pull_policy": "if-not-present",
    }
    assert "script_failure" not in zlib["retry"]["when"]


def test_nothing_to_build_is_a_pipeline_with_one_job() -> None:
    """D10."""
    _, result = packed([recording("1.1", "toy-noop")])
    assert list(expand(result.files[0].document)) == ["nothing to build"]
    assert summarize(result, 0, {}).nothing_to_build == ("toy-noop",)


def test_a_split_pipeline_finds_its_files_and_waits_only_where_it_must() -> None:
    """A tool that two chains need, one of which a last package needs."""
    edges: Edges = {
        "tool": frozenset(),
        **{f"a{number}": frozenset([f"a{number - 1}"] if number else ["tool"]) for number in range(6)},
        **{f"b{number}": frozenset([f"b{number - 1}"] if number else ["tool"]) for number in range(6)},
        "last": frozenset(["a5"]),
    }
    _, result = packed([generated("x", edges)], max_jobs=6)
    root, *children = result.files
    jobs = expand(root.document)
    collect = jobs["collect artifacts"]
    assert collect["needs"] == [{"pipeline": "4712", "job": "process spack pipeline for amd64"}]
    names = {key: result.work.names[key] for key in result.layout.root}
    names |= {part[0]: f"packages {number}" for number, part in enumerate(result.layout.parts, start=1)}
    for child, part in zip(children, result.layout.parts, strict=True):
        bridge = jobs[names[part[0]]]
        # For jobs of the root, and for other children only where they need them; whatever became of those.
        assert bridge["needs"] == ["collect artifacts", *sorted(names[key] for key in result.layout.waits[part[0]])]
        assert bridge["rules"] == [{"when": "always"}]
        assert bridge["trigger"] == {
            "include": [{"artifact": f"spack.artifacts.amd64/{child.name}", "job": "collect artifacts"}],
            "strategy": "depend",
        }
    # The chains run beside each other, and nothing takes longer than in one pipeline.
    assert result.layout.makespan(result.work.seconds) == 8 * 90.0
    assert "rebuild-index" in jobs
    assert not any("rebuild-index" in child.document for child in children)


def test_a_job_of_the_root_that_needs_a_child_runs_whatever_became_of_it() -> None:
    """What failed in the child may be nothing to it; if it is, Spack says so."""
    chains: Edges = {
        f"{chain}{number}": frozenset([f"{chain}{number - 1}"] if number else ())
        for chain in "ab"
        for number in range(9)
    }
    _, result = packed([generated("x", {**chains, "app": frozenset(["a8", "b8"])})], max_jobs=9)
    jobs = expand(result.files[0].document)
    asking = [job for name, job in jobs.items() if name in result.work.built_by and "packages 1" in job["needs"]]
    assert asking
    assert all(job["rules"] == [{"when": "always"}] for job in asking)
    assert all(job["dependencies"] == ["env x"] for job in asking)


def test_a_pipeline_over_the_size_limit_splits_by_itself() -> None:
    edges: Edges = {
        f"n{number:03}": frozenset({f"n{number // 2:03}"} if number > 1 else ()) for number in range(1, 200)
    }
    text = SITE + "gitlab: {limits: {max_yaml_bytes: 60000}}\n"
    merged, result = packed([generated("x", edges)], text=text)
    assert 2 < len(result.files) < 20
    limits = site(text).gitlab.limits
    assert all(
        check(file.document, limits, depth=2 if index else 1).findings == () for index, file in enumerate(result.files)
    )
    assert len({key for file in result.files for key in package_jobs(result, file)}) == len(merged.steps) == 199


def layers(number: int, of: int) -> dict[str, list[str]]:
    """So many layers of packages, each of which needs all of the layer before."""
    names = [[f"n{layer}-{index}" for index in range(of)] for layer in range(number)]
    return {name: below for layer, below in zip(names, [[], *names], strict=False) for name in layer}


def three_each(containers: int) -> list[Generated]:
    """Containers that have a chain of three packages each."""
    names = [f"{number:03}" for number in range(containers)]
    return [generated(f"c{one}", {f"a{one}": [], f"b{one}": [f"a{one}"], f"d{one}": [f"b{one}"]}) for one in names]


@pytest.mark.parametrize(
    ("found", "limits", "children"),
    [
        # A gate and the job that brings the environment are jobs, too.
        ([generated("x", {"app": LEAVES, **dict.fromkeys(LEAVES, ())})], "max_jobs: 61", 2),
        (three_each(12), "max_jobs: 20", 4),
        # What the jobs of a container share stands only where one of them is.
        (three_each(70), "max_yaml_bytes: 262144", 3),
        # Needs of packages in other parts take no room; if they did, each layer would be a child of its own.
        ([generated("x", layers(6, of=9))], "max_yaml_bytes: 40000", 3),
    ],
)
def test_everything_that_takes_room_counts_where_it_stands(found: list[Generated], limits: str, children: int) -> None:
    merged, result = packed(found, text=f"{SITE}gitlab: {{limits: {{{limits}}}}}\n")
    assert 0 < len(result.files) - 1 <= children
    assert sum(file.packages for file in result.files) == len(merged.steps)
    assert not any(file.limits.findings for file in result.files)


def test_one_job_that_is_over_the_limit_is_an_error_with_its_reason() -> None:
    text = SITE + "gitlab: {limits: {max_yaml_bytes: 3000}}\n"
    with pytest.raises(LimitExceededError, match=r"cannot be split.*parsed size \(bytes\): [\d,]+ of 3,000"):
        packed([generated("x", {"a": [], "b": []})], text=text)


def test_a_job_with_more_needs_than_gitlab_allows_waits_at_gates() -> None:
    leaves = {f"leaf{number:03}": frozenset[str]() for number in range(120)}
    _, result = packed([generated("x", {**leaves, "app": frozenset(leaves)})])
    document = result.files[0].document
    assert result.files[0].limits.findings == ()
    assert _inside(result, result.files[0])[spack_hash("app")] == {spack_hash(leaf) for leaf in leaves}
    assert sum(name.startswith("gate ") for name in document) == 3


@given(graphs(most=25), st.integers(1, 6), st.integers(0, 6), st.integers(1, 9), st.randoms())
def test_a_layout_has_every_package_once_and_keeps_to_its_room(
    edges: Edges, jobs: int, root: int, children: int, chance: random.Random
) -> None:
    seconds = {node: float(chance.randrange(1, 1000)) for node in edges}
    graph = Weighted(edges, seconds, dict.fromkeys(edges, 1))
    layout = partition(graph, Room(Capacity(root, 1_000), Capacity(jobs, 1_000), children))
    assert sorted([*layout.root, *(node for part in layout.parts for node in part)]) == sorted(edges)
    assert len(layout.root) <= root
    assert all(1 <= len(part) <= jobs for part in layout.parts)
    assert len(layout.parts) <= max(children, len(edges))
    # Children are in an order in which they can run, and nothing that is needed is lost.
    place = {part[0]: index for index, part in enumerate(layout.parts)}
    before = reachable(layout.waits)
    assert all(place[one] < place[key] for key in place for one in before[key] & place.keys())
    real, wanted = reachable(layout.enforced), reachable(edges)
    assert all(wanted[node] <= real[node] for node in edges)
    simulation = lay_out(layout.running(seconds), ROOT)
    assert simulation.run(1000).makespan == pytest.approx(layout.makespan(seconds))
    assert layout.makespan(seconds) == pytest.approx(max(finish_times(layout.enforced, seconds).values()))
    assert layout.remaining(seconds) == pytest.approx(remaining_times(layout.enforced, seconds))


@pytest.mark.parametrize("seed", range(10))
def test_the_search_does_not_depend_on_the_order_of_sets(seed: int) -> None:
    """Sets have another order in every process, and the search takes many choices between equals."""
    chance = random.Random(seed)
    nodes = [f"n{number:03}" for number in range(80)]
    below = {node: chance.sample(nodes[:index], min(index, 3)) for index, node in enumerate(nodes)}
    order = topological_order({node: frozenset(below[node]) for node in nodes})
    parts = [order[start : start + 20] for start in range(0, 80, 20)]
    room = Room(Capacity(20, 1000), Capacity(30, 1000), 6)
    found = []
    for turn in (1, -1):
        edges: Any = {node: tuple(sorted(below[node])[::turn]) for node in nodes}
        seconds = {node: float(1 + index % 3) for index, node in enumerate(nodes)}
        found.append(Search(Weighted(edges, seconds, dict.fromkeys(nodes, 1)), parts, room, seconds).run(500))
    assert found[0] == found[1]


def test_the_summary_says_what_people_ask() -> None:
    _, result = packed([recording("1.1", "hdf5-tools"), recording("1.1", "toy-noop")])
    summary = summarize(result, 0.0, {"broken": "no pipeline was generated"})
    text = "\n".join(summary.lines())
    assert "50 jobs read, 50 packages to build after merging" in text
    assert "left out: broken: no pipeline was generated" in text
    assert "nothing to build for toy-noop" in text
    assert [makespan.runners for makespan in summary.makespans] == [10, 40, 100]
    assert all(makespan.seconds >= makespan.at_least for makespan in summary.makespans)
    assert summary.critical_path


def with_services(found: Generated, *names: str) -> Generated:
    job = {"script": ["echo"], "stage": "stage-x", "dependencies": [], "retry": 0, "allow_failure": True}
    return replace(found, services={**found.services, **dict.fromkeys(names, job)})


def test_service_jobs_are_kept_once_after_the_packages_with_all_they_say() -> None:
    """D3: `stage-sign-pkgs` and others that are no number ended in a ValueError. D39: falsy values vanished."""
    names = ("sign-pkgs", "cleanup", "wait-for-build-jobs", "something-new")
    found = [with_services(generated("x", {"a": []}), *names), with_services(generated("y", {"b": []}), *names)]
    _, result = worked(found)
    jobs = expand(result.files[0].document)
    assert result.services == ("cleanup", "sign-pkgs", "something-new")
    sign = jobs["sign-pkgs"]
    assert (sign["stage"], sign["retry"], sign["allow_failure"], sign["dependencies"]) == ("services", 0, True, [])
    assert sign["variables"]["SPACK_VERSION"].startswith("1.1.0")
    stages = result.files[0].document["stages"]
    assert stages == ["collect", "build", "services", "index"]
    assert "kept as Spack wrote them: cleanup, sign-pkgs" in "\n".join(summarize(result, 0, {}).lines())


def test_copying_alone_is_something_to_do() -> None:
    copying = with_services(generated("x", {"a": []}), "copy")
    copying = replace(copying, builds=replace(copying.builds, steps=(), needs={}), jobs={})
    _, result = packed([copying])
    assert set(expand(result.files[0].document)) == {"copy", "rebuild-index"}
    assert schema_errors(result.files[0].document) == []


def test_nobody_wants_an_index() -> None:
    """`ci: rebuild-index: false` in all definitions, so that Spack wrote no such job; one that wants it gets it."""
    without = [replace(generated(name, {name: []}), services={}) for name in "xy"]
    _, result = packed(without)
    jobs = expand(result.files[0].document)
    assert "rebuild-index" not in jobs
    assert check(result.files[0].document, site().gitlab.limits).findings == ()
    _, result = packed([*without, generated("z", {"c": []})])
    assert "rebuild-index" in expand(result.files[0].document)


def test_mirrors_that_differ_get_an_index_each() -> None:
    one, other = generated("x", {"a": []}), generated("y", {"b": []})
    _, result = packed([one, replace(other, mirror="s3://other/cache")])
    jobs = expand(result.files[0].document)
    assert {name for name in jobs if name.startswith("rebuild-index")} == {"rebuild-index 1", "rebuild-index 2"}
    assert jobs["rebuild-index 2"]["resource_group"] == "index other/cache"


NEWEST = SITE.replace("v1.1.0", "v1.2.0")
"""A site whose Spack knows views of indexes."""


def test_each_container_gets_a_view_after_the_index_where_spack_knows_views() -> None:
    found = [generated("y", {"b": []}, version="1.2.0"), generated("x", {"a": []}, built=[], version="1.2.0")]
    _, result = packed(found, text=NEWEST)
    views = expand(result.files[0].document)["update views"]
    assert views["needs"] == [
        {"job": "rebuild-index", "artifacts": False},
        {"pipeline": "4712", "job": "generate build cache population job for x for amd64"},
        {"pipeline": "4712", "job": "generate build cache population job for y for amd64"},
    ]
    assert views["rules"] == [{"when": "always"}]
    assert views["stage"] == "index"
    assert "dependencies" not in views
    (script,) = views["script"]
    folder = "jobs_scratch_dir.amd64/y/concrete_environment"
    assert f"spack buildcache update-index --force --name y s3://cache-amd64 {folder} ||" in script
    assert not schema_errors(result.files[0].document)
    assert not result.files[0].limits.findings


@pytest.mark.parametrize(
    ("text", "version", "environment"),
    [(SITE, "1.1.0", ENVIRONMENT), (NEWEST, "1.2.0", {**ENVIRONMENT, **BRANCH}), (NEWEST, "1.2.0", MERGE_REQUEST)],
)
def test_no_view_where_spack_knows_none_or_nobody_would_remove_it(
    text: str, version: str, environment: Mapping[str, str]
) -> None:
    _, result = packed([generated("x", {"a": []}, version=version)], text=text, environment=environment)
    assert [name for name in expand(result.files[0].document) if "views" in name] == []


def test_views_of_many_containers_keep_to_the_number_of_needs() -> None:
    text = NEWEST + "gitlab: {limits: {max_needs: 5}}\n"
    found = [generated(f"c{number}", {"a": []}, version="1.2.0") for number in range(9)]
    _, result = packed(found, text=text)
    jobs = expand(result.files[0].document)
    views = [job for name, job in jobs.items() if name.startswith("update views ")]
    assert [len(job["needs"]) for job in views] == [5, 5, 2]
    assert sum(len(job["script"][0].split("--force")) - 1 for job in views) == 9


def test_a_view_that_fails_keeps_no_other_from_being_written(tmp_path: Path) -> None:
    containers = [("bad", "a b/bad"), ("good", "a b/good")]
    script = render("update_views.sh.j2", mirror="m", containers=containers, adds=False)
    (tmp_path / "spack").write_text('#!/bin/sh\necho "$5 $7"\ntest "$5" = good\n')
    (tmp_path / "spack").chmod(0o755)
    path = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    ran = subprocess.run(["sh", "-ec", script], env=path, capture_output=True, text=True, check=False)
    assert ran.stdout == "bad a b/bad\ngood a b/good\n"
    assert (ran.returncode, ran.stderr) == (1, "no view was written for: bad\n")


GOLDEN = REPOSITORY / "tests" / "golden" / "packages"


ADDING = NEWEST.replace("build_cache: {", "build_cache: {index: spackitor, ")
"""A site whose indexes and views are added to by spackitor."""


@pytest.mark.parametrize(
    ("case", "text", "version", "options"),
    [
        ("whole", SITE, "1.1.0", {}),
        ("split", SITE, "1.1.0", {"max_jobs": 3}),
        ("fused", SITE, "1.1.0", {"fuse": 100}),
        ("spackitor", ADDING, "1.2.0", {}),
    ],
)
def test_what_is_generated_is_what_was_reviewed(case: str, text: str, version: str, options: dict[str, Any]) -> None:
    edges: Edges = {
        "gmake": frozenset(),
        "zlib": frozenset({"gmake"}),
        "openssl": frozenset({"gmake", "zlib"}),
        "cmake": frozenset({"openssl", "gmake"}),
        "hdf5": frozenset({"cmake", "zlib", "gmake"}),
    }
    found = [generated(name, edges, version=version) for name in ("hdf5-stack", "cmake-only")]
    _, result = packed(map(fusable, found) if "fuse" in options else found, text=text, **options)
    folder = GOLDEN / case
    if os.environ.get("UPDATE_GOLDEN"):
        folder.mkdir(parents=True, exist_ok=True)
        for file in result.files:
            (folder / file.name).write_bytes(file.content)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        file.name: file.content for file in result.files
    }
