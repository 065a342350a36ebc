from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from job_creator.rehearsal.shell.translation import (
    IMAGE_TOOLS,
    SIF_TOOLS,
    Surroundings,
    expanded,
    folder_of,
    translated,
)

PLACE = Surroundings({"PARENT_PIPELINE_ID": "1001"}, ".rehearsal")


def one(job: dict[str, Any], place: Surroundings = PLACE, **others: dict[str, Any]) -> dict[str, Any]:
    """A job as it comes out."""
    found: dict[str, Any] = translated({"stages": ["test"], "job": job, **others}, place).document["job"]
    return found


def test_what_is_about_runners_goes_and_the_rest_stays() -> None:
    job = {
        "stage": "test",
        "image": {"name": "python", "entrypoint": [""]},
        "tags": ["big"],
        "timeout": "1 hour",
        "retry": 2,
        "resource_group": "cache",
        "interruptible": True,
        "variables": {"A": "$B"},
        "rules": [{"when": "always"}],
        "script": ["make"],
        "artifacts": {"paths": ["out"]},
        "allow_failure": True,
    }
    kept = ("stage", "variables", "rules", "script", "artifacts", "allow_failure")
    assert one(job) == {key: job[key] for key in kept}


def test_a_trigger_becomes_a_job_that_runs_the_child() -> None:
    """gitlab-ci-local passes trigger jobs whatever became of the child."""
    trigger = {"include": [{"artifact": "out/p.yaml", "job": "make it"}], "strategy": "depend"}
    job = {"needs": ["other"], "variables": {"PARENT_PIPELINE_ID": "$CI_PIPELINE_ID"}, "trigger": trigger}
    made = {"script": ["true"]}
    result = translated({"stages": [], "a b": job, "make it": made, "other": made}, PLACE)
    assert result.bridges == ("a b",)
    assert result.document["a b"] == {
        "variables": {"PARENT_PIPELINE_ID": "$CI_PIPELINE_ID"},
        "needs": ["make it", "other"],
        "script": ["jc rehearse-child 'a b' out/p.yaml --pass PARENT_PIPELINE_ID"],
    }


def test_what_another_pipeline_left_is_copied_before_the_script(tmp_path: Path) -> None:
    """gitlab-ci-local ignores needs of other pipelines."""
    need = {"pipeline": "$PARENT_PIPELINE_ID", "job": "generate it/now", "artifacts": True}
    job = one({"needs": ["near", need], "script": ["cat out/file"]}, near={"script": ["true"]})
    assert job["needs"] == ["near"]
    left = tmp_path / ".rehearsal" / "1001" / "artifacts" / folder_of("generate it/now") / "out"
    command = ["bash", "-eo", "pipefail", "-c", "\n".join(job["script"])]
    work = tmp_path / "work"
    work.mkdir()
    environment = {"PATH": "/usr/bin:/bin", "REHEARSAL_CHECKOUT": str(tmp_path)}
    done = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "could not retrieve the needed artifacts of 'generate it/now'" in done.stderr
    left.mkdir(parents=True)
    (left / "file").write_text("handed on")
    (left.parent / ".gitlab-ci-reports").mkdir()
    done = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "handed on")
    assert {path.name for path in work.iterdir()} == {"out"}


def test_needs_without_artifacts_are_only_waited_for() -> None:
    need = {"pipeline": "4711", "job": "generate", "artifacts": False}
    assert one({"needs": [need], "script": ["make"]})["script"] == ["make"]


@pytest.mark.parametrize(
    ("script", "missing", "left"),
    [
        ("printf '%s' x | buildah login", ["buildah"], "needs buildah"),
        ("set -eu\nsingularity build x.sif y", SIF_TOOLS, "needs singularity"),
        ("jc publish-sif x\nsingularity build", SIF_TOOLS, "needs jc publish-sif and singularity"),
        ("jc tag-image --skip-missing x", IMAGE_TOOLS, "needs jc tag-image"),
        ("buildah build", ["skopeo"], None),
        ("jc create-jobs --only buildah-image", IMAGE_TOOLS, None),
        ("cat /usr/share/doc/buildah /opt/skopeo", IMAGE_TOOLS, None),
    ],
)
def test_jobs_whose_programs_are_not_here_are_left_out(script: str, missing: list[str], left: str | None) -> None:
    result = translated({"job": {"script": [script]}}, Surroundings({}, "", missing))
    assert result.left_out == ({"job": left} if left else {})
    assert ("job" in result.document) is (left is None)
    assert result.runs is (left is None)


def test_what_needs_the_artifacts_of_a_job_that_is_left_out_is_left_out_too() -> None:
    files, variables = {"paths": ["x"]}, {"reports": {"dotenv": "x"}}
    document = {
        "build": {"script": ["buildah build ."], "artifacts": {**files, **variables}},
        "digest": {"script": ["buildah build ."], "artifacts": variables},
        "told": {"needs": ["digest"], "script": ["true"]},
        "after": {"needs": ["build"], "script": ["true"], "artifacts": files},
        "later": {"needs": [{"job": "after"}], "script": ["true"]},
        "ordered": {"needs": [{"job": "build", "artifacts": False}, "other"], "script": ["true"]},
        "always": {"needs": ["build"], "rules": [{"when": "always"}], "script": ["true"]},
        "other": {"script": ["true"]},
    }
    result = translated(document, Surroundings({}, "", ["buildah"]))
    assert set(result.left_out) == {"build", "digest", "after", "later"}
    assert result.document["told"]["needs"] == []
    assert result.document["ordered"]["needs"] == ["other"]
    assert result.document["always"]["needs"] == []
    assert result.jobs == tuple(document)


def test_unwanted_jobs_are_not_there_at_all() -> None:
    result = translated(
        {"unit tests": {"script": ["make test"]}, "other": {"script": ["x"]}}, Surroundings({}, "", (), ["unit tests"])
    )
    assert result.jobs == ("other",)


def test_folders_are_called_as_gitlab_ci_local_calls_them() -> None:
    assert folder_of("bridge job") == "bridgeIAjob"
    assert folder_of("rebuild-index") == "rebuild-index"
    assert folder_of("libelf@0.8 /my5") == "libelfQA0Lg8IC8my5"


def test_variables_are_replaced_in_both_spellings() -> None:
    assert expanded("${A}-$B-$NONE.", {"A": "1", "B": "2"}) == "1-2-."
