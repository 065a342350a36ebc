"""What a definition writes below `ci:` reaches the jobs of its packages, through a real Spack."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from foundation.spack.releases import SpackLine
from foundation.yaml_io import parse
from job_creator.builds.durations import default_durations
from job_creator.builds.merge import merge
from job_creator.engines.gitlab.jobs.package_mirrors import index_jobs
from job_creator.engines.gitlab.jobs.packages import PackagePlace, package_job
from job_creator.pipelines.packages import read_folder
from tests.integration.real_spack import ROOTS
from tests.integration.toy_environment import environment_folder, generate, line_of, setting_of, site_for
from tests.samples import site

pytestmark = [
    pytest.mark.usefixtures("components"),
    pytest.mark.skipif(not ROOTS, reason="SPACKTAINERS_SPACK_ROOT names no Spack"),
]

OF_THE_SITE = """\
    jobs: {packages: {timeout: 3 hours, variables: {COLOUR: blue, FORM: round}}}
    packages: {'lib*': {timeout: 5 hours, runner_tags: [large], variables: {COLOUR: green}}}
"""

DEFINITION = """\
specs: [app-x]
ci:
  pipeline-gen:
    - submapping:
        - match: [libb]
          build-job:
            tags: [huge]
            timeout: 11 hours
            image: {name: registry.example.org/other:2}
            variables: {COLOUR: red, KUBERNETES_MEMORY_REQUEST: 64Gi}
            before_script: [echo before]
            after_script: [echo done]
            id_tokens: {TOKEN: {aud: x}}
    - reindex-job:
        tags: [small]
    - any-job:
        variables: {LEVEL: 2}
    - build-job:
        before_script-: [echo after]
"""


def jobs_of(root: str, line: SpackLine, definition: str, folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The keywords of package jobs by package, and of the index job."""
    found = site_for(line, more=OF_THE_SITE)
    where = setting_of(found, line)
    value: Any = parse(definition.encode(), "definition").value
    environment = environment_folder(where, value, folder)
    generate(root, environment, folder / "out")
    read, failed = read_folder(folder / "out", keep_going=False)
    assert not failed
    place = PackagePlace("amd64", found.architectures["amd64"], found, where, "4711")
    merged = merge((one.builds for one in read), place.demands(default_durations()))
    steps = merged.steps.values()
    jobs = {step.package: package_job(step, str(step), read[0], place).keywords for step in steps}
    (index,) = index_jobs(read, place)
    return jobs, dict(index.keywords)


@pytest.mark.parametrize("root", ROOTS)
def test_what_a_definition_says_of_a_package_is_in_its_job(root: str, tmp_path: Path) -> None:
    jobs, index = jobs_of(root, line_of(root), DEFINITION, tmp_path)
    libb, liba, app = jobs["libb"], jobs["liba"], jobs["app-x"]
    assert libb["tags"] == ["huge", *site().architectures["amd64"].runner_tags]
    assert libb["timeout"] == "11 hours"
    assert libb["image"] == {"name": "registry.example.org/other:2", "entrypoint": [""]}
    assert libb["variables"]["COLOUR"] == "red"
    assert libb["variables"]["KUBERNETES_MEMORY_REQUEST"] == "64Gi"
    # What a job builds is told first of all.
    assert "SPACK_JOB_SPEC_PKG_NAME" in libb["before_script"][0]
    assert libb["before_script"][1] == "echo before"
    assert libb["before_script"][-1] == "echo after"
    assert "setup-env.sh" in libb["before_script"][2]
    assert libb["after_script"] == ["echo done"]
    assert libb["id_tokens"] == {"TOKEN": {"aud": "x"}}
    # What the site says of a package holds where the definition says nothing, and so on.
    assert (liba["timeout"], liba["tags"], liba["variables"]["COLOUR"]) == ("5 hours", ["large"], "green")
    assert (app["timeout"], app["tags"], app["variables"]["COLOUR"]) == ("3 hours", ["big"], "blue")
    assert {job["variables"]["LEVEL"] for job in (libb, liba, app, index)} == {"2"}
    assert {job["variables"]["FORM"] for job in (libb, liba, app)} == {"round"}
    assert index["tags"] == ["small", "big"]


@pytest.mark.parametrize("root", ROOTS)
def test_a_definition_that_replaces_the_list_keeps_what_the_site_needs(root: str, tmp_path: Path) -> None:
    definition = "specs: [liba]\nci:\n  pipeline-gen::\n    - build-job: {timeout: 2 hours}\n"
    jobs, _ = jobs_of(root, line_of(root), definition, tmp_path)
    assert jobs["liba"]["timeout"] == "2 hours"
    assert "setup-env.sh" in jobs["liba"]["before_script"][1]
    assert [line.count("steps/build_packages.py") for line in jobs["liba"]["script"]] == [1]


@pytest.mark.parametrize("root", ROOTS)
@pytest.mark.parametrize("mark", ["", "::", "-:"])
def test_retries_are_those_of_the_definition_where_spack_hands_them_on(root: str, mark: str, tmp_path: Path) -> None:
    retry = f"{{max: 1, when{mark or ':'} [script_failure]}}"
    definition = f"specs: [liba]\nci:\n  pipeline-gen:\n    - build-job: {{retry: {retry}}}\n"
    jobs, _ = jobs_of(root, line_of(root), definition, tmp_path)
    if line_of(root) >= (1, 0):
        assert jobs["liba"]["retry"] == {"max": 1, "when": ["script_failure"]}
    else:
        assert jobs["liba"]["retry"]["max"] == 2
