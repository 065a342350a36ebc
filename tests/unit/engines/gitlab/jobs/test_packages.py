"""The jobs that build packages."""

from __future__ import annotations

from typing import Any

import pytest

from foundation.yaml_io import dump, load
from job_creator.builds.durations import default_durations
from job_creator.builds.merge import merge
from job_creator.builds.steps import Step
from job_creator.engines.gitlab.generated import SPACK_RETRIES, read_generated
from job_creator.engines.gitlab.jobs.package_mirrors import index_jobs
from job_creator.engines.gitlab.jobs.packages import PackagePlace, package_job
from job_creator.engines.gitlab.objects import INFRASTRUCTURE_FAILURES
from job_creator.engines.gitlab.package_names import built_by, job_name
from job_creator.environments.setting import Setting
from job_creator.site.site import Site
from tests.samples import SITE, site
from tests.spack_ci import pipeline


@pytest.mark.parametrize("longest", [128, 255])
def test_long_versions_are_cut_out_of_names_and_hashes_are_not(longest: int) -> None:
    name = job_name(Step("a" * 32, "zlib", "git." + "f" * 300, "x", ()), 7, longest)
    assert len(name) == longest
    assert name.startswith("zlib@git.")
    assert built_by(name) == ("zlib", "a" * 7)


LINES = ["0.21.3", "0.23.1", "1.1.0"]


def job(text: str = SITE, version: str = "1.1.0", **written: Any) -> dict[str, Any]:
    """The keywords of the job of `llvm`, of which Spack wrote these things beside the usual ones."""
    return jobs(text, version, **written)[0]


def jobs(text: str, version: str, **written: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The keywords of the job of `llvm` and of the index job, for both of which Spack wrote these things."""
    document: Any = load(pipeline("x", {"llvm": []}, version=version), "pipeline.yml")
    for one in document.values():
        if isinstance(one, dict) and "script" in one:
            variables = {**one.get("variables", {}), **written.get("variables", {})}
            one.update({**written, "variables": variables})
    found = site(text)
    place = place_of(found)
    read = read_generated("x", "x/pipeline.yml", dump(document).encode())
    (step,) = merge([read.builds], place.demands(default_durations())).steps.values()
    (index,) = index_jobs([read], place)
    return dict(package_job(step, "llvm@1.0 /" + step.hash, read, place).keywords), dict(index.keywords)


def place_of(found: Site) -> PackagePlace:
    return PackagePlace("amd64", found.architectures["amd64"], found, setting_of(found), "4712")


def setting_of(found: Site) -> Setting:
    return Setting(
        architecture=found.architectures["amd64"],
        line=found.spack.line,
        builder="registry.example.org/builder:1",
        is_default_branch=True,
        is_merge_request=False,
        signing_key_variable="PRIVATE",
        public_key_variable="PUBLIC",
    )


OF_THE_PACKAGE = SITE.replace(
    "    target: x86_64_v3\n",
    "    target: x86_64_v3\n    jobs: {packages: {timeout: 3h, variables: {A: site, B: site, C: site}}}\n"
    "    packages: {'llvm*': {timeout: 9h, runner_tags: [huge], variables: {A: package, B: package},"
    " resources: {memory: 8Gi}}}\n",
)


@pytest.mark.parametrize("version", LINES)
def test_what_the_environment_says_is_stronger_than_the_site(version: str) -> None:
    """All of it was dropped: what a definition said below `ci:` never reached a job."""
    site_variables = {"A": "site", "B": "site", "C": "site"}
    found = job(
        OF_THE_PACKAGE,
        version,
        tags=["gpu", "big"],
        timeout="11 hours",
        image={"name": "other:1"},
        variables={**site_variables, "A": "own", "KUBERNETES_MEMORY_REQUEST": "64Gi"},
        after_script=["echo done"],
    )
    assert (found["tags"], found["timeout"]) == (["gpu", "big"], "11 hours")
    assert found["image"] == {"name": "other:1", "entrypoint": [""]}
    assert [found["variables"][name] for name in "ABC"] == ["own", "package", "site"]
    assert found["variables"]["KUBERNETES_MEMORY_REQUEST"] == "64Gi"
    assert found["variables"]["KUBERNETES_MEMORY_LIMIT"] == "8Gi"
    assert found["after_script"] == ["echo done"]


def test_where_the_environment_says_nothing_the_site_says_it_of_the_package() -> None:
    found = job(OF_THE_PACKAGE, tags=["big"], variables={"A": "site"})
    assert (found["tags"], found["timeout"], found["variables"]["A"]) == (["huge"], "9h", "package")


def test_the_order_of_jobs_follows_from_the_graph_alone() -> None:
    found = job(rules=[{"when": "manual"}], when="manual", interruptible=False, dependencies=["x"], stage="mine")
    assert found["rules"] == [{"when": "on_success"}]
    assert "when" not in found
    assert found["dependencies"] == ["env x"]
    assert (found["stage"], found["interruptible"]) == ("build", True)


USUAL = {"max": 2, "when": list(INFRASTRUCTURE_FAILURES)}
OTHERS = [one for one in SPACK_RETRIES if one != "script_failure"]


@pytest.mark.parametrize(
    ("version", "written", "right"),
    [
        ("0.21.3", {"max": 2, "when": ["always"]}, USUAL),
        ("0.23.1", {"max": 2, "when": list(SPACK_RETRIES)}, USUAL),
        ("1.1.0", {"max": 2, "when": list(SPACK_RETRIES)}, USUAL),
        ("1.1.0", {"max": 1, "when": list(SPACK_RETRIES)}, {**USUAL, "max": 1}),
        ("1.1.0", 1, {**USUAL, "max": 1}),
        # Written with `when:`, `when-:` and `when::`.
        ("1.1.0", {"max": 1, "when": ["script_failure", *OTHERS]}, {"max": 1, "when": ["script_failure"]}),
        ("1.1.0", {"max": 2, "when": ["always", *SPACK_RETRIES]}, {"max": 2, "when": ["always"]}),
        ("1.1.0", {"max": 1, "when": [*OTHERS, "script_failure"]}, {"max": 1, "when": ["script_failure"]}),
        ("1.1.0", {"max": 1, "when": ["script_failure"]}, {"max": 1, "when": ["script_failure"]}),
        ("1.1.0", {"max": 1, "when": "always"}, {"max": 1, "when": ["always"]}),
    ],
)
def test_retries_are_those_that_the_environment_adds_to_spacks(
    version: str, written: object, right: dict[str, Any]
) -> None:
    assert job(version=version, retry=written)["retry"] == right


def test_what_is_said_of_the_index_job_reaches_it() -> None:
    _, index = jobs(SITE, "1.1.0", tags=["small"], timeout="5 hours", variables={"LEVEL": "2"}, id_tokens={"T": {}})
    assert (index["tags"], index["timeout"], index["variables"]["LEVEL"]) == (["small"], "5 hours", "2")
    assert index["id_tokens"] == {"T": {}}
    assert "update-index" in index["script"][0]


def test_the_index_is_added_to_by_spackitor_where_the_site_says_so() -> None:
    """In the image of tools and with their runners; what Spack wrote for its own command is for that one alone."""
    told = SITE.replace("    target: x86_64_v3\n", "    target: x86_64_v3\n    jobs: {tools: {runner_tags: [small]}}\n")
    _, usual = jobs(told, "1.1.0", before_script=["prepare"], image="other:1")
    assert "spack buildcache update-index --keys" in usual["script"][0]
    _, found = jobs(told.replace("build_cache: {", "build_cache: {index: spackitor, "), "1.1.0", image="other:1")
    assert found["image"] == {"name": site(told).images.job_creator, "entrypoint": [""]}
    assert (found["tags"], found["before_script"]) == (["small"], [])
    assert "spackitor index s3://" in found["script"][-1]
    assert "buildcache" not in str(found["script"])
    for keyword in ("stage", "rules", "resource_group", "interruptible", "retry", "timeout", "dependencies"):
        assert found[keyword] == usual[keyword]
    secrets = {name: value for name, value in usual["variables"].items() if name.startswith("AWS_")}
    assert secrets.items() <= found["variables"].items()
