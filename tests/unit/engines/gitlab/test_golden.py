"""Generated pipelines as they are, for review. `UPDATE_GOLDEN=1 make test` writes them anew after a change."""

from __future__ import annotations

import os
from collections.abc import Mapping

import pytest

from foundation.registries.published import Published
from foundation.yaml_io import dump, parse
from job_creator.definitions.definitions import Definition
from job_creator.engines.gitlab.base_pipeline import Inputs, plan, wanted_images
from job_creator.engines.gitlab.limits import check
from job_creator.engines.gitlab.objects import expand
from job_creator.images.base_images import questions
from job_creator.images.knowledge import Knowledge
from job_creator.inputs import read_all
from job_creator.pipelines.base import HEADER, make_plan, outputs
from job_creator.site.gitlab import Limits
from tests.pipeline_checks import GOLDEN, schema_errors, shellcheck
from tests.samples import (
    BRANCH,
    DEFAULT_BRANCH,
    FROZEN_SITE,
    MERGE_REQUEST,
    SITE,
    imported_definition,
    inputs,
    spack_definition,
)


def _case(environment: Mapping[str, str], text: str = SITE) -> Inputs:
    definitions: list[Definition] = [
        spack_definition("hdf5"),
        imported_definition("nexus"),
        spack_definition("zlib"),
        spack_definition("hdf5", "arm64"),
    ]
    return inputs(*definitions, environment=environment, text=text)


OLD_SPACK = SITE.replace(
    "  ref: v1.1.0\n  packages: {repository: https://git.example.org/spack-packages.git, ref: v2025.11.0}",
    "  ref: v0.21.3",
)
CASES = {
    "laptop": _case({}),
    "default_branch": _case(DEFAULT_BRANCH),
    "branch_of_old_spack": _case(BRANCH, OLD_SPACK),
    "merge_request": _case(MERGE_REQUEST),
}


def files(case: str) -> dict[str, str]:
    found = CASES[case]
    known = Knowledge(None, "not asked")
    if case == "default_branch":
        # Everything is published but the builder image for arm64.
        known = Knowledge(
            {
                query: None
                if (one.name, one.architecture) == ("builder", "arm64")
                else Published(f"sha256:{one.tag}", one.labels, one.architecture)
                for one in wanted_images(found)
                for query in questions([one], found.moving_tag)
            }
        )
    built = plan(found, known)
    result = {name: dump(value, HEADER) for name, value in built.environments.items() if "zlib" not in name}
    return {"generated_pipeline.yaml": dump(built.pipeline.document(), HEADER), **result}


@pytest.mark.parametrize("case", CASES)
def test_what_is_generated_is_what_was_reviewed(case: str) -> None:
    folder = GOLDEN / case
    generated = files(case)
    if os.environ.get("UPDATE_GOLDEN"):
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.iterdir():
            path.unlink()
        for name, content in generated.items():
            (folder / name).write_text(content)
    assert {path.name for path in folder.iterdir()} == set(generated)
    for name, content in generated.items():
        assert (folder / name).read_text() == content


@pytest.mark.parametrize("case", CASES)
def test_generated_pipelines_pass_gitlabs_schema_and_limits(case: str) -> None:
    document = parse(files(case)["generated_pipeline.yaml"].encode(), "p").value
    assert schema_errors(document) == []
    assert check(document, Limits(), depth=1).findings == ()


def test_the_pipeline_of_all_kinds_of_definitions_passes_them_too() -> None:
    written = read_all(FROZEN_SITE, "spacktainers.yaml")
    files, report = outputs(make_plan(FROZEN_SITE, written, {}, offline=True), written, "p.yaml")
    assert schema_errors(parse(files["p.yaml"], "p").value) == []
    assert report.findings == ()


def test_gitlabs_schema_would_find_a_mistake() -> None:
    assert schema_errors({"a": {"script": ["x"], "retry": 7}})


@pytest.mark.parametrize("case", CASES)
def test_generated_scripts_pass_shellcheck(case: str) -> None:
    document = parse(files(case)["generated_pipeline.yaml"].encode(), "p").value
    scripts = {"\n".join(job["script"]) for job in expand(document).values()}
    environment = parse(files(case)["merged_spack_hdf5_amd64.yaml"].encode(), "e").value["spack"]["ci"]["pipeline-gen"]
    any_job, build_job = environment[0]["any-job"], environment[1]["build-job"]
    parts = [*any_job["before_script"], *build_job.get("before_script-", []), *build_job["script:"]]
    scripts.add("\n".join(parts))
    for script in sorted(scripts):
        assert shellcheck(script) == ""
