"""From template and definition to spack.yaml."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.spack.releases import SUPPORTED, SpackLine
from job_creator.environments.marks import merge
from job_creator.environments.merged import merged_environment
from job_creator.environments.mirror_names import DEFAULT_BRANCH_CACHE, DESTINATION
from job_creator.environments.setting import Setting
from tests.samples import site

BUILDER = "registry.example.org/builder:1-amd64"


def setting(line: tuple[int, int] = (1, 1), branch: str = "default", architecture: str = "amd64") -> Setting:
    return Setting(
        architecture=site().architectures[architecture],
        line=SpackLine(*line),
        builder=BUILDER,
        is_default_branch=branch == "default",
        is_merge_request=branch == "merge request",
        signing_key_variable="PRIVATE",
        public_key_variable="PUBLIC",
    )


def merged(definition: dict[str, Any], template: dict[str, Any] | None = None, **where: Any) -> dict[str, Any]:
    environment = merged_environment(setting(**where), template or {}, {"specs": ["x"], **definition})
    assert list(environment) == ["spack"]
    inner: dict[str, Any] = environment["spack"]
    return inner


@pytest.mark.parametrize(
    ("weaker", "stronger", "result"),
    [
        # The table of docs/definitions.md.
        ({"a": {"x": 1}}, {"a": {"y": 2}}, {"a": {"x": 1, "y": 2}}),
        ({"view": "/opt/view"}, {"view": True}, {"view": True}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"require": "+z"}, {"require": ["+x", "~y"]}, {"require": ["+x", "~y"]}),
        ({"a": {"x": 1}}, {"a:": {"y": 2}}, {"a:": {"y": 2}}),
        ({"a": [1, 2]}, {"a+": [3]}, {"a": [3, 1, 2]}),
        ({"a": [1, 2]}, {"a-": [3]}, {"a": [1, 2, 3]}),
        # Without anything to prepend to, the mark stays for Spack's own lower scopes.
        ({}, {"a+": [3]}, {"a+": [3]}),
        ({"a:": {"x": 1}}, {"a": {"y": 2}}, {"a:": {"x": 1, "y": 2}}),
        ({"specs": [1]}, {"specs:": [2]}, {"specs": [2]}),
        ({"a": 1}, {"a": {"x": 1}}, {"a": {"x": 1}}),
        ({"a": {"x": 1}}, {"a": None}, {"a": None}),
    ],
)
def test_the_merge_is_the_documented_one(
    weaker: dict[str, Any], stronger: dict[str, Any], result: dict[str, Any]
) -> None:
    """D14: overriding a scalar of the template raised an exception, and lists could never be replaced."""
    before = copy.deepcopy((weaker, stronger))
    assert merge(weaker, stronger) == result
    assert (weaker, stronger) == before


keys = st.text("abc", min_size=1, max_size=2)
environments = st.recursive(
    st.integers() | st.lists(st.integers(), max_size=3),
    lambda inner: st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
).filter(lambda value: isinstance(value, dict))


@given(environments, environments)
def test_everything_the_stronger_side_says_holds_afterwards(weaker: Any, stronger: Any) -> None:
    result = merge(weaker, stronger)
    assert merge(result, stronger) == result
    assert merge(weaker, {}) == weaker
    assert merge({}, stronger) == stronger
    assert set(result) == {*weaker, *stronger}


def test_a_definition_keeps_its_own_requirement_for_all_packages() -> None:
    """D15: it was silently replaced by the site's."""
    assert merged({"packages": {"all": {"require": "%clang"}}})["packages"]["all"]["require"] == "%clang"


def test_the_definition_wins_over_the_template_and_that_over_the_site() -> None:
    template = {"packages": {"all": {"require": "%llvm", "providers": {"mpi": ["mpich"]}}}, "view": "/a"}
    result = merged({"view": False}, template)
    assert result["view"] is False
    assert result["packages"]["all"]["require"] == "%llvm"
    assert result["packages"]["all"]["providers"] == {"mpi": ["mpich"]}


def test_specs_come_first() -> None:
    assert next(iter(merged({}, {"config": {}}))) == "specs"


@pytest.mark.parametrize("line", [(0, 21), (0, 22), (0, 23)])
def test_older_spack_takes_target_and_compiler_in_one_requirement(line: tuple[int, int]) -> None:
    assert merged({}, line=line)["packages"]["all"] == {"require": "%gcc@13 target=x86_64_v3"}


@pytest.mark.parametrize("line", [(1, 0), (1, 1), (1, 2)])
def test_newer_spack_prefers_the_target_and_requires_the_compiler_by_language(line: tuple[int, int]) -> None:
    """`%gcc@13 target=x` would bind the target to the compiler and cannot be satisfied."""
    assert merged({}, line=line)["packages"]["all"] == {
        "prefer": ["target=x86_64_v3"],
        "require": "%[when=%c]c=gcc@13 %[when=%cxx]cxx=gcc@13 %[when=%fortran]fortran=gcc@13",
    }


def test_without_a_target_only_the_compiler_is_required() -> None:
    assert merged({}, line=(0, 23), architecture="arm64")["packages"]["all"] == {"require": "%gcc@13"}
    assert "prefer" not in merged({}, architecture="arm64")["packages"]["all"]


@pytest.mark.parametrize("line", SUPPORTED)
def test_a_path_as_install_tree_becomes_the_mapping_that_every_line_takes(line: SpackLine) -> None:
    result = merged({"config": {"install_tree": "/opt/x", "build_jobs": 2}}, line=line)
    assert result["config"] == {"install_tree": {"root": "/opt/x"}, "build_jobs": 2}


@pytest.mark.parametrize("line", SUPPORTED)
def test_the_destination_mirror_is_always_there(line: SpackLine) -> None:
    mirror = merged({"mirrors": {"other": "https://example.org"}}, line=line)["mirrors"]
    assert mirror["other"] == "https://example.org"
    for use in ("fetch", "push") if line.credentials_by_variable else ("url",):
        found = mirror[DESTINATION] if use == "url" else mirror[DESTINATION][use]
        assert found["url"] == "s3://cache-amd64"
        assert found["endpoint_url"] == "https://s3.example.org"
    assert ("signed" in mirror[DESTINATION]) == (line >= (0, 22))


def test_credentials_are_named_in_the_mirror_where_spack_can_and_else_in_job_variables() -> None:
    new, old = merged({}, line=(0, 23)), merged({}, line=(0, 22))
    names = {"id_variable": "AWS_CACHE_ACCESS_KEY_ID", "secret_variable": "AWS_CACHE_SECRET_ACCESS_KEY"}
    assert new["mirrors"][DESTINATION]["push"]["access_pair"] == names
    assert "access_pair" not in new["mirrors"][DESTINATION]["fetch"]
    assert "access_pair" not in str(old["mirrors"][DESTINATION])
    variables = old["ci"]["pipeline-gen"][0]["any-job"]["variables"]
    assert variables["AWS_ACCESS_KEY_ID"] == "$AWS_CACHE_ACCESS_KEY_ID"
    assert "AWS_ACCESS_KEY_ID" not in str(new)


def test_branches_push_to_their_own_cache_and_read_that_of_the_default_branch() -> None:
    mirrors = merged({}, branch="branch", architecture="arm64")["mirrors"]
    assert {mirrors[DESTINATION][use]["url"] for use in ("fetch", "push")} == {"s3://cache-branches/arm64"}
    assert mirrors[DESTINATION]["signed"] is False
    assert mirrors[DEFAULT_BRANCH_CACHE]["url"] == "s3://cache-arm64"


def test_the_default_branch_never_reads_the_cache_of_branches() -> None:
    for architecture, branches in (("amd64", "s3://cache-amd64/branches"), ("arm64", "s3://cache-branches")):
        assert branches in str(merged({}, branch="branch", architecture=architecture))
        assert branches not in str(merged({}, branch="default", architecture=architecture))


def test_merge_requests_see_no_signing_key_and_none_that_writes_the_cache_of_the_default_branch() -> None:
    """D66: anyone who could open a merge request could read the private key."""
    request = str(merged({}, branch="merge request", architecture="arm64"))
    assert "PRIVATE" not in request
    assert "s3://cache-arm64" in request
    assert "AWS_CACHE" not in request
    assert "PRIVATE" not in str(merged({}, branch="branch"))
    assert "PRIVATE" in str(merged({}, branch="default"))


def test_an_unsigned_cache_needs_no_key_at_all() -> None:
    unsigned = site().architectures["amd64"].build_cache.model_copy(update={"signed": False})
    architecture = site().architectures["amd64"].model_copy(update={"build_cache": unsigned})
    environment = merged_environment(replace(setting(), architecture=architecture), {}, {"specs": ["x"]})
    assert "PRIVATE" not in str(environment)
    assert environment["spack"]["mirrors"][DESTINATION]["signed"] is False


@pytest.mark.parametrize("line", SUPPORTED)
def test_spacks_own_script_is_replaced_and_not_extended(line: SpackLine) -> None:
    """With plain `script` both ran, and every package was rebuilt twice."""
    any_job, build_job = merged({}, line=line)["ci"]["pipeline-gen"]
    assert "script:" in build_job["build-job"]
    assert "script" not in build_job["build-job"]
    assert any_job["any-job"]["image"] == {"name": BUILDER, "entrypoint": [""]}
    assert any_job["any-job"]["tags"] == ["big"]


def test_a_definition_can_add_to_the_generated_ci_section() -> None:
    entry = {"submapping": [{"match": ["llvm"], "build-job": {"tags": ["huge"]}}]}
    assert merged({"ci": {"pipeline-gen+": [entry]}})["ci"]["pipeline-gen"][0] == entry


def test_lists_below_ci_come_before_the_weaker_ones() -> None:
    """A plain `pipeline-gen:` threw away the runner tags, image and scripts of the site."""
    template = {"ci": {"pipeline-gen": [{"build-job": {"timeout": "1 hour"}}], "broken-tests-packages": ["x"]}}
    entries = merged({"ci": {"pipeline-gen": [{"build-job": {"timeout": "9 hours"}}]}}, template)["ci"]["pipeline-gen"]
    assert [next(iter(entry)) for entry in entries] == ["build-job", "build-job", "any-job", "build-job"]
    assert entries[0] == {"build-job": {"timeout": "9 hours"}}


@pytest.mark.parametrize("ci", [{"pipeline-gen:": [{"any-job": {"tags": ["x"]}}]}, {"pipeline-gen:": []}])
@pytest.mark.parametrize("key", ["ci", "ci:"])
def test_what_the_sites_jobs_need_stays_whatever_is_replaced(ci: dict[str, Any], key: str) -> None:
    template = {"ci": {"pipeline-gen": [{"build-job": {"timeout": "1 hour"}}]}}
    made = merged({key: ci}, template)[key]
    assert made["target"] == "gitlab"
    assert [next(iter(entry)) for entry in made["pipeline-gen:"]][-2:] == ["any-job", "build-job"]
    assert "1 hour" not in str(made)


def test_no_mark_that_spack_does_not_read_in_files_is_left() -> None:
    """Spack refuses `require+:` in a file, or takes `template_dirs+:` and never looks at it."""
    definition = {
        "config": {"template_dirs+": ["/x"], "build_jobs": 3},
        "packages+": {"zlib": {"require+": ["@1"], "version-": ["1"]}},
        "concretizer:": {"unify:": True},
        "ci": {"pipeline-gen": [{"build-job": {"before_script-": ["x"]}}]},
    }
    made = merged(definition)
    assert made["config"] == {"template_dirs": ["/x"], "build_jobs": 3}
    assert made["packages"]["zlib"]["require"][0] == "@1"
    assert made["packages"]["zlib"]["version"] == ["1"]
    assert made["concretizer:"] == {"unify:": True}
    assert made["ci"]["pipeline-gen"][0] == {"build-job": {"before_script-": ["x"]}}
