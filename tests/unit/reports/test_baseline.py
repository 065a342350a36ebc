"""Plans against what a job kept on the default branch."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from foundation.errors import ExitCode
from job_creator.__main__ import main
from tests.build_runs import lock_of
from tests.fakes.http import Answer, LoopbackServer, Request
from tests.report_samples import DIAMOND

TOKEN = "job-token-that-nobody-may-see"
JOB = "report packages for amd64"


@dataclass
class Branch:
    """A server that has one file of the default branch."""

    answer: Answer = field(default_factory=lambda: Answer(200, lock_of(DIAMOND)))

    def __enter__(self) -> Branch:
        self.server = LoopbackServer("127.0.0.1", self._answer)
        self.server.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.__exit__()

    def _answer(self, request: Request) -> Answer:
        path = "/api/v4/projects/7/jobs/artifacts/main%2Fline/raw/report/packages.lock"
        is_right = request.path == path and request.query == {"job": [JOB]} and request.headers["job-token"] == TOKEN
        return self.answer if is_right else Answer(500)

    def plan(self, folder: Path, *more: str) -> Any:
        (folder / "spack.lock").write_bytes(lock_of({**DIAMOND, "tool": ("app",)}))
        environment = {
            "CI_API_V4_URL": f"{self.server.url}/api/v4",
            "CI_PROJECT_ID": "7",
            "CI_DEFAULT_BRANCH": "main/line",
            "CI_JOB_TOKEN": TOKEN,
        }
        arguments = ["report", "plan", "spack.lock", "--json", "--before-job", JOB, *(more or ("--out-dir", "report"))]
        done = CliRunner().invoke(main, arguments, env=environment)
        assert TOKEN not in done.output
        return json.loads(done.stdout) if done.exit_code == 0 else done.exit_code


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_changes_are_told_against_the_default_branch(folder: Path) -> None:
    with Branch() as branch:
        value = branch.plan(folder)
    assert [one["name"] for one in value["changes"]["added"]] == ["tool@1.0"]
    assert not any("what changes" in one for one in value["unknown"])


@pytest.mark.parametrize(
    "answer",
    [Answer(404), Answer(401), Answer(403), Answer(400), Answer(302, headers={"Location": "http://localhost:1/"})],
    ids=lambda answer: str(answer.status),
)
def test_without_it_the_report_says_so(answer: Answer, folder: Path) -> None:
    with Branch(answer) as branch:
        value = branch.plan(folder)
        assert len(branch.server.requests) == 1
    assert value["changes"] is None
    assert any(one.startswith("what changes: ") for one in value["unknown"])


def test_a_file_that_is_no_lockfile_is_invalid(folder: Path) -> None:
    with Branch(Answer(200, b"nonsense")) as branch:
        assert branch.plan(folder) == ExitCode.INVALID_INPUT


@pytest.mark.parametrize("more", [("--title", "x"), ("--before", "spack.lock", "--out-dir", "report")])
def test_options_that_do_not_go_together(more: tuple[str, ...], folder: Path) -> None:
    with Branch() as branch:
        assert branch.plan(folder, *more) == ExitCode.USAGE
