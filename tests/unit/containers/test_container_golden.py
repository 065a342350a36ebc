"""Container pipelines as they are, for review. `UPDATE_GOLDEN=1 make test` writes them anew after a change."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import replace

import pytest

from foundation.yaml_io import dump, parse
from job_creator.containers.identity import Unbuildable
from job_creator.definitions.extra_files import ExtraFile
from job_creator.engines.gitlab.container_pipeline import plan
from job_creator.engines.gitlab.limits import check
from job_creator.engines.gitlab.names import CONTAINER_PIPELINE
from job_creator.engines.gitlab.objects import expand
from job_creator.images.knowledge import Knowledge
from job_creator.pipelines.base import HEADER
from job_creator.site.gitlab import Limits
from tests.containers import container, images_of, imported, recipe, records_of, unknown, wanted, with_keys
from tests.pipeline_checks import GOLDEN, schema_errors, shellcheck
from tests.samples import BRANCH, DEFAULT_BRANCH, MERGE_REQUEST, spack_definition

RUNS = {"default_branch": DEFAULT_BRANCH, "branch": BRANCH, "merge_request": MERGE_REQUEST}


def files(run: str) -> dict[str, str]:
    """All that is written for a container with everything, one without anything, an imported and a broken one."""
    environment: Mapping[str, str] = RUNS[run]
    made_with = recipe(environment)
    full = replace(
        spack_definition(),
        files=(ExtraFile("files/hdf5/run me.sh", "/opt/run me.sh"),),
        tests=("h5dump --version", "python3 -c 'print(\"a b\")'"),
    )
    containers = [container(full, made_with), container(spack_definition("zlib"), made_with)]
    found = wanted(
        *containers,
        imported(made_with=made_with),
        environment=environment,
        unbuildable=[Unbuildable("x", "amd64", "no lock")],
    )
    built = plan(with_keys(found), unknown(), records_of(found))
    written = {name: content.decode() for name, content in built.files.items() if not name.startswith("zlib/")}
    return {CONTAINER_PIPELINE: dump(built.pipeline.document(), HEADER), **written}


@pytest.mark.parametrize("run", RUNS)
def test_what_is_generated_is_what_was_reviewed(run: str) -> None:
    folder = GOLDEN / "containers" / run
    generated = files(run)
    if os.environ.get("UPDATE_GOLDEN"):
        for path in folder.rglob("*"):
            if path.is_file():
                path.unlink()
        for name, content in generated.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(content)
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert found == set(generated)
    for name, content in generated.items():
        assert (folder / name).read_text() == content


@pytest.mark.parametrize("run", RUNS)
def test_generated_pipelines_pass_gitlabs_schema_and_limits(run: str) -> None:
    document = parse(files(run)[CONTAINER_PIPELINE].encode(), "p").value
    assert schema_errors(document) == []
    assert check(document, Limits(), depth=1).findings == ()


def test_a_pipeline_with_nothing_to_do_passes_them_too() -> None:
    found = wanted(container())
    document = plan(found, Knowledge(images_of(found)), records_of(found)).pipeline.document()
    assert schema_errors(document) == []
    assert check(document, Limits(), depth=1).findings == ()


@pytest.mark.parametrize("run", RUNS)
def test_generated_scripts_pass_shellcheck(run: str) -> None:
    document = parse(files(run)[CONTAINER_PIPELINE].encode(), "p").value
    for script in sorted({"\n".join(job["script"]) for job in expand(document).values()}):
        assert shellcheck(script) == ""
    assert shellcheck(files(run)["hdf5/smoke_tests.sh"]) == ""


def test_smoke_tests_stop_at_the_first_that_fails() -> None:
    tested = replace(spack_definition(), tests=("echo 'one  two'", "false", "echo three"))
    script = container(tested).files["smoke_tests.sh"].decode()
    done = subprocess.run(["sh"], input=script, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "one  two\n" in done.stdout
    assert "three" not in done.stdout
    assert done.stderr == "smoke test failed: false\n"
