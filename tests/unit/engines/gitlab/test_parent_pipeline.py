"""The parent pipeline."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

from foundation.errors import ExitCode
from foundation.yaml_io import dump, parse
from job_creator.engines.gitlab.limits import check
from job_creator.engines.gitlab.objects import expand
from job_creator.engines.gitlab.parent_pipeline import parent_pipeline
from job_creator.project_files import BASE_IMAGES
from job_creator.site.gitlab import Limits
from tests.commands import jc
from tests.containers import PUBLISHED_SITE
from tests.documentation import DOCS, PAGES, SOURCES
from tests.pipeline_checks import schema_errors, shellcheck
from tests.samples import A_SITES_OWN, REPOSITORY, imported_definition, site, spack_definition, write_repository


def document(*definitions: Any, text: str = PUBLISHED_SITE) -> dict[str, Any]:
    found = definitions or (spack_definition(), imported_definition(), spack_definition(architecture="arm64"))
    return parent_pipeline(site(text), found)


def jobs(found: dict[str, Any]) -> dict[str, Any]:
    return expand(found)


def test_it_has_the_jobs_that_users_of_this_system_know() -> None:
    assert set(jobs(document())) == {
        "unit tests",
        "check names of packages",
        "generate base pipeline",
        "base containers and pipeline generation",
        "gather child artifacts",
        "populate buildcache for amd64",
        "populate buildcache for arm64",
        "build spacktainers for amd64",
        "build spacktainers for arm64",
        "cleanup deleted branch containers on sifs/containers/branches",
        "cleanup deleted branch containers on alps",
        "cleanup deleted branch containers on other",
    }


def test_architectures_without_definitions_or_packages_get_no_empty_children() -> None:
    """D1: a rule about a folder never saw it; D28: imported images alone broke the generator."""
    found = jobs(document(imported_definition()))
    assert "build spacktainers for amd64" in found
    assert not any("arm64" in name or name.startswith("populate") for name in found)


def test_only_pushes_of_other_branches_leave_the_pipeline_to_their_merge_request() -> None:
    """An open merge request of the default branch itself stopped the site's own pipelines, schedules included."""
    (never,) = (rule for rule in document()["workflow"]["rules"] if rule.get("when") == "never")
    assert set(never["if"].split(" && ")) == {
        '$CI_PIPELINE_SOURCE == "push"',
        "$CI_OPEN_MERGE_REQUESTS",
        "$CI_COMMIT_BRANCH != $CI_DEFAULT_BRANCH",
    }


def test_gitlab_accepts_it() -> None:
    assert schema_errors(document()) == []
    assert check(document(), Limits(), depth=0).findings == ()
    for job in jobs(document()).values():
        if "script" in job:
            assert shellcheck("\n".join(job["script"])) == ""


def test_triggers_take_their_yaml_from_jobs_that_leave_it() -> None:
    found = jobs(document())
    stages = document()["stages"]
    for name, job in found.items():
        for need in job.get("needs", []):
            assert stages.index(found[need]["stage"]) < stages.index(job["stage"]), (name, need)
        if "trigger" in job:
            (include,) = job["trigger"]["include"]
            paths = found[include["job"]]["artifacts"]["paths"]
            assert any(Path(include["artifact"].split("/")[0]).match(path) for path in paths)
            assert include["job"] in job["needs"] or any(
                include["job"] in found[need]["needs"] for need in job["needs"]
            )
            assert job["trigger"]["strategy"] == "depend"


def test_what_fails_in_one_environment_does_not_stop_the_others() -> None:
    found = jobs(document())
    for name in ("gather child artifacts", "populate buildcache for amd64", "build spacktainers for amd64"):
        assert found[name]["rules"][-1] == {"when": "always"}
    assert found["gather child artifacts"]["artifacts"]["when"] == "always"


def test_scheduled_pipelines_only_clean() -> None:
    never = {"if": '$CI_PIPELINE_SOURCE == "schedule"', "when": "never"}
    found = jobs(document())
    # Every rule of this one is for a push or a merge request.
    asked = [rule["if"] for rule in found.pop("unit tests")["rules"]]
    assert all(re.match(r'\$CI_PIPELINE_SOURCE == "(push|merge_request_event)"', one) for one in asked)
    for name, job in found.items():
        assert (job["rules"][0] == never) is not name.startswith("cleanup"), name


def test_the_tests_run_where_anything_changed_that_they_read_and_a_site_does_not_write() -> None:
    code = [*SOURCES, *PAGES, *DOCS.iterdir(), *(REPOSITORY / "job_creator").rglob("*.j2"), Path(__file__)]
    code += [path for name in BASE_IMAGES for path in (REPOSITORY / name).iterdir()]
    names = [path.relative_to(REPOSITORY).as_posix() for path in code]
    names += ["Makefile", "pyproject.toml", "requirements.txt", "requirements-dev.txt", ".ci/run", "CHANGELOG.md"]
    names += ["spacktainer/Dockerfile.j2", "spacktainer/image/install.sh", "tests/data/site/spacktainers.yaml"]
    own = [f"{name}/x" if "." not in name else name for name in A_SITES_OWN]
    for rule in jobs(document())["unit tests"]["rules"]:
        assert [name for name in names if not changed(rule, name)] == []
        assert [name for name in (*own, "spack.yaml") if changed(rule, name)] == []


def changed(rule: Any, name: str) -> bool:
    """Whether GitLab takes a file for one of the rule; in its patterns `*` ends at a slash."""
    return any(
        name.startswith(pattern.removesuffix("**/*"))
        if pattern.endswith("/**/*")
        else fnmatch(name, pattern) and name.count("/") == pattern.count("/")
        for pattern in rule["changes"]["paths"]
    )


def test_a_new_branch_is_compared_with_the_one_that_it_comes_from() -> None:
    """Without that everything counts as changed, also where somebody only added a container."""
    (_, default_branch, other) = jobs(document())["unit tests"]["rules"]
    assert "$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH" in default_branch["if"]
    assert "compare_to" not in default_branch["changes"]
    assert other["changes"]["compare_to"] == "refs/heads/$CI_DEFAULT_BRANCH"


def test_a_site_may_do_without_the_tests() -> None:
    found = jobs(document(text=PUBLISHED_SITE + "gitlab: {unit_tests: false}\n"))
    assert set(jobs(document())) - set(found) == {"unit tests"}


def test_nothing_waits_for_the_index_of_packages_and_a_site_may_do_without() -> None:
    found = jobs(document())
    assert not any("check names of packages" in str(job.get("needs", "")) for job in found.values())
    assert all("needs" in job or job["stage"] == "test" for job in found.values())
    without = jobs(document(text=PUBLISHED_SITE + "gitlab: {package_index: false}\n"))
    assert set(found) - set(without) == {"check names of packages"}
    assert "package_index" not in dump(without)


def test_the_index_is_kept_for_as_long_as_the_recipes_are_the_same() -> None:
    found = jobs(document())
    made, taken = found["check names of packages"]["cache"], found["generate base pipeline"]["cache"]
    assert made["key"] == taken["key"]
    assert taken["policy"] == "pull"
    ref = site(PUBLISHED_SITE).spack.recipes_ref
    for other in ("v2999.12.1", "develop", "releases/latest"):
        changed = jobs(document(text=PUBLISHED_SITE.replace(ref, other)))
        assert changed["check names of packages"]["cache"]["key"] != made["key"]
        # Of which commit a branch is, nobody asks there.
        assert ("cache" in changed["generate base pipeline"]) == other.startswith("v2")
        assert ("jc check" in dump(changed["generate base pipeline"])) == other.startswith("v2")


def test_jobs_get_no_keys_but_those_that_clean_up_after_branches() -> None:
    """D57, D66: merge requests published, and saw the signing key."""
    for name, job in jobs(document()).items():
        if name.startswith("cleanup"):
            assert job["rules"] == [{"if": "$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH"}]
        else:
            assert "AWS_" not in dump(job)
    assert "SPACK_DEPLOYMENT" not in dump(document())
    assert "AWS_BRANCHES" in dump(document())
    assert "AWS_INFRASTRUCTURE" not in dump(document())


def test_a_cluster_is_cleaned_by_its_own_runner() -> None:
    job = jobs(document())["cleanup deleted branch containers on alps"]
    assert job["tags"] == ["alps"]
    assert "jc clean-branches /shared/containers" in job["script"][-1]


def test_the_command_writes_checks_and_names_what_is_out_of_step(tmp_path: Path) -> None:
    root = write_repository(tmp_path)
    assert jc("-C", str(root), "render-ci", "--check").exit_code == ExitCode.REFUSED
    assert jc("-C", str(root), "render-ci").exit_code == ExitCode.OK
    assert "base containers and pipeline generation" in parse((root / ".gitlab-ci.yml").read_bytes(), "p").value
    assert jc("-C", str(root), "render-ci", "--check").exit_code == ExitCode.OK
    text = (root / "spacktainers.yaml").read_text()
    (root / "spacktainers.yaml").write_text(text.replace("runner_tags: [big]", "runner_tags: [bigger]"))
    result = jc("-C", str(root), "render-ci", "--check")
    assert result.exit_code == ExitCode.REFUSED
    assert "run 'jc render-ci' and commit it" in result.output


@pytest.mark.parametrize("name", ["generate base pipeline", "gather child artifacts"])
def test_artifacts_are_kept_as_long_as_the_site_says(name: str) -> None:
    text = PUBLISHED_SITE + "gitlab: {artifact_expiry: 3 days}\n"
    assert jobs(document(text=text))[name]["artifacts"]["expire_in"] == "3 days"
