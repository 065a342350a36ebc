from __future__ import annotations

import io
import json
import urllib.error
import urllib.request
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from foundation.errors import NotReadyError
from job_creator.rehearsal.outcomes import FAILED, SUCCESS, new_pipeline, pipelines, save
from job_creator.rehearsal.shell.gitlab_ci_local import Engine, Told, artifacts_of, find_engine
from job_creator.rehearsal.shell.gitlab_server import gitlab_server


def test_pipelines_that_begin_at_once_have_different_ids(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda number: new_pipeline(tmp_path / "records", f"p{number}", None), range(40)))
    assert sorted(one.id for one in made) == list(range(1001, 1041))
    assert {one.name for one in pipelines(tmp_path / "records")} == {f"p{number}" for number in range(40)}


def get(url: str) -> bytes:
    with urllib.request.urlopen(url) as answer:  # noqa: S310 - a server of our own
        content: bytes = answer.read()
    return content


def test_ga_finds_jobs_bridges_and_artifacts(tmp_path: Path) -> None:
    records, states = tmp_path / "records", tmp_path / "states"
    parent = new_pipeline(records, "parent", None)
    child = new_pipeline(records, "base", parent.id)
    save(records, replace(parent, bridges=("base", "later"), jobs={"generate": SUCCESS, "base": FAILED}))
    save(records, replace(child, status=FAILED, jobs={"make": SUCCESS, "broken": FAILED}))
    left = artifacts_of(states / str(child.id), "make") / "out"
    left.mkdir(parents=True)
    (left / "file").write_text("content")
    (left.parent / ".gitlab-ci-reports" / "dotenv").mkdir(parents=True)
    (left.parent / ".gitlab-ci-reports" / "dotenv" / "x.env").write_text("A=1")
    with gitlab_server(records, states) as api:
        listed: list[dict[str, Any]] = json.loads(
            get(f"{api}/projects/1/pipelines/{parent.id}/trigger_jobs?per_page=100")
        )
        assert [(one["name"], one["status"], one["downstream_pipeline"]) for one in listed] == [
            ("base", "failed", {"id": child.id, "project_id": 1}),
            ("later", "created", None),
        ]
        jobs = {one["name"]: one for one in json.loads(get(f"{api}/projects/1/pipelines/{child.id}/jobs"))}
        assert (jobs["make"]["status"], jobs["broken"]["status"]) == ("success", "failed")
        assert "artifacts_file" not in jobs["broken"]
        archive = get(f"{api}/projects/1/jobs/{jobs['make']['id']}/artifacts")
        assert zipfile.ZipFile(io.BytesIO(archive)).namelist() == ["out/file"]
        with pytest.raises(urllib.error.HTTPError):
            get(f"{api}/projects/2/pipelines/{child.id}/jobs")


def told_of(folder: Path, *stages: str) -> Told:
    return Told(folder, "p.yml", ".s/1", stages, {}, (), {"HOME": str(folder), "PATH": "/usr/bin:/bin"})


def test_the_report_counts_not_the_exit_code(tmp_path: Path) -> None:
    """A stand-in for Node prints what gitlab-ci-local prints; its exit code would say that all is well."""
    node = tmp_path / "node"
    node.write_text(
        "#!/bin/sh\n"
        'case "$*" in *--list-json*) echo "[]"; exit ;; esac\n'
        "echo 'a job     finished in 1.01 s'\n"
        "echo 'bridge    > · inner: done (5 ms)'\n"
        "echo 'bridge    finished in 2 s  FAIL 11 '\n"
        "echo 'pipeline finished in 3 s'\n"
        "echo ' PASS  a job '\necho ' WARN  lint  '\necho ' FAIL  bridge'\necho '  > · inner: done (5 ms)'\n"
    )
    node.chmod(0o755)
    told: list[str] = []
    engine = Engine(node, tmp_path / "index.js")
    found = engine.run(told_of(tmp_path), told.append, 60)
    assert found == {"a job": "success", "lint": "success", "bridge": "failed"}
    assert told == ["· a job: done (1.01 s)", "· inner: done (5 ms)", "· bridge: failed (2 s)"]
    node.write_text("#!/bin/sh\necho 'This GitLab CI configuration is invalid'\nexit 0\n")
    with pytest.raises(NotReadyError, match=r"ran no job.*\n.*is invalid"):
        engine.run(told_of(tmp_path), told.append, None)


def test_jobs_that_the_engine_forgets_are_started_with_their_names(tmp_path: Path) -> None:
    """gitlab-ci-local ends with a failure, and leaves what GitLab would still run."""
    node = tmp_path / "node"
    listed = (
        '[{"name": "build", "stage": "build", "when": "on_success"}, '
        '{"name": "use", "stage": "build", "when": "on_success", "needs": [{"job": "build"}]}, '
        '{"name": "index it", "stage": "index", "when": "always"}]'
    )
    node.write_text(
        "#!/bin/sh\n"
        f"case \"$*\" in *--list-json) echo '{listed}' ;; *'index it') echo ' PASS  index it' ;;\n"
        "*) echo ' FAIL  build' ;; esac\n"
    )
    node.chmod(0o755)
    found = Engine(node, tmp_path / "index.js").run(told_of(tmp_path, "build", "index"), lambda _: None, None)
    assert found == {"build": "failed", "index it": "success"}


def test_an_old_node_is_refused(tmp_path: Path) -> None:
    for name, text in {"node": "echo v20.1.0", "gitlab-ci-local": "true"}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    with pytest.raises(NotReadyError, match=r"is v20\.1\.0; gitlab-ci-local needs 22 or newer; 'make rehearsal-tools'"):
        find_engine([tmp_path / "node_modules"], str(tmp_path))
