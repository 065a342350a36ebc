"""`ga` against a GitLab on this machine: pages, redirects, tokens, failures, interruptions, and real pipelines."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from foundation.doors.http import Patience
from foundation.errors import CouldNotAskError, DamagedError, ExitCode, NotThereError
from foundation.yaml_io import load
from get_artifacts import output_folder
from get_artifacts.__main__ import main
from get_artifacts.discovery import discover
from get_artifacts.download import Fetcher
from get_artifacts.family import PipelineId
from get_artifacts.gitlab_api import GitLabServer
from get_artifacts.report import progress
from get_artifacts.selection import WantedArtifacts, choose
from get_artifacts.session import Credential
from job_creator.__main__ import main as jc
from job_creator.engines.gitlab import names
from job_creator.engines.gitlab.objects import expand
from tests.fakes.gitlab import SIGNATURE, FakeGitLab, FakePipeline, FakeProject, zip_of
from tests.fakes.http import HANG_UP, SILENCE, Answer, Cut, json_answer
from tests.fakes.proxy import forwarding_proxy
from tests.samples import FROZEN_SITE, write_repository
from tests.spack_ci import RECORDINGS

QUICK = Patience(connect=0.5, read=0.5, attempts=3, silent_attempts=3, backoff=0.01, retry_after=1)
TOKEN_HEADERS = {"authorization", "private-token", "job-token", "cookie"}


@dataclass
class Scene:
    """A parent pipeline with a base pipeline, and a folder to fetch into."""

    gitlab: FakeGitLab
    project: FakeProject
    parent: FakePipeline
    base: FakePipeline
    out: Path

    @property
    def environment(self) -> dict[str, str]:
        """What GitLab gives the job."""
        return {
            "CI_API_V4_URL": self.gitlab.api_url,
            "CI_PROJECT_ID": str(self.project.id),
            "CI_PIPELINE_ID": str(self.parent.id),
            "CI_JOB_TOKEN": self.gitlab.job_token,
        }

    def add(self, architecture: str, *, packages: bool = True) -> None:
        """The two jobs of an architecture."""
        if packages:
            folder = names.package_artifacts(architecture)
            files = {f"{folder}/{names.PACKAGE_PIPELINE}": b"packages: {}\n", f"{folder}/packages_1.yaml": b"a: {}\n"}
            self.base.job(names.process_job(architecture), files)
        folder = names.container_artifacts(architecture)
        files = {f"{folder}/{names.CONTAINER_PIPELINE}": b"containers: {}\n", f"{folder}/x/spack.yaml": b"spack: {}\n"}
        self.base.job(names.containers_job(architecture), files)

    def ga(self, *arguments: str, **more: str) -> Result:
        """Run the command where GitLab would."""
        with contextlib.chdir(self.out):
            environment = self.environment | more
            return CliRunner().invoke(main, list(arguments), env=environment, catch_exceptions=False)

    def server(self, *credentials: Credential, patience: Patience = QUICK) -> GitLabServer:
        """The same without a command, and with less patience."""
        return GitLabServer(self.gitlab.api_url, credentials or [Credential.of_job(self.gitlab.job_token)], patience)

    @property
    def parent_id(self) -> PipelineId:
        return PipelineId(self.project.id, self.parent.id)

    @property
    def files(self) -> dict[str, bytes]:
        """What is there, except for what the tool remembers."""
        found = (path for path in self.out.rglob("*") if path.is_file())
        return {
            path.relative_to(self.out).as_posix(): path.read_bytes()
            for path in found
            if ".ga" not in path.relative_to(self.out).parts
        }

    @property
    def downloads(self) -> int:
        """How many archives were asked for."""
        return sum(request.path.endswith("/artifacts") for request in self.gitlab.requests)


@pytest.fixture(params=[(19, 2)])
def gitlab(request: pytest.FixtureRequest) -> Iterator[FakeGitLab]:
    with FakeGitLab(request.param) as server:
        yield server


@pytest.fixture
def scene(gitlab: FakeGitLab, tmp_path: Path) -> Scene:
    project = gitlab.project()
    parent = project.pipeline()
    (tmp_path / "out").mkdir()
    return Scene(gitlab, project, parent, parent.child(names.BASE_BRIDGE), tmp_path / "out")


PACKAGES = {"spack.artifacts.amd64/packages_1.yaml", "spack.artifacts.amd64/spack_pipeline.yaml"}
BOTH = PACKAGES | {"spacktainer.artifacts.amd64/spacktainer_pipeline.yaml"}


def test_what_the_next_triggers_need(scene: Scene) -> None:
    scene.add("amd64")
    scene.add("arm64", packages=False)
    scene.base.job("build builder for amd64", {"digest": b""})
    result = scene.ga()
    assert result.exit_code == ExitCode.OK, result.output
    arm64 = "spacktainer.artifacts.arm64/spacktainer_pipeline.yaml"
    assert set(scene.files) == {*BOTH, arm64, "build.env"}
    assert scene.files["build.env"] == b"amd64=yes\narm64=yes\n"
    assert scene.files[arm64] == b"containers: {}\n"
    assert "spack.artifacts.amd64: 2 files of job 'process spack pipeline for amd64' (success)" in result.stdout
    assert "fetching" in result.stderr


def test_what_is_there_is_not_fetched_again(scene: Scene) -> None:
    scene.add("amd64")
    assert scene.ga().exit_code == ExitCode.OK
    before = scene.files
    assert "there already" in scene.ga().stdout
    assert scene.downloads == 2
    (scene.out / "spack.artifacts.amd64" / "packages_1.yaml").write_text("changed")
    assert scene.ga().exit_code == ExitCode.OK
    assert (scene.downloads, scene.files) == (3, before)
    (scene.out / "spack.artifacts.amd64" / "left over.yaml").write_text("")
    assert scene.ga().exit_code == ExitCode.OK
    assert (scene.downloads, scene.files) == (4, before)
    scene.base.job(names.process_job("amd64"), {"spack.artifacts.amd64/spack_pipeline.yaml": b"new: {}\n"})
    assert scene.ga().exit_code == ExitCode.OK
    assert "spack.artifacts.amd64/packages_1.yaml" not in scene.files
    assert scene.files["spack.artifacts.amd64/spack_pipeline.yaml"] == b"new: {}\n"
    assert scene.downloads == 5


def test_archives_as_they_are(scene: Scene) -> None:
    scene.add("amd64")
    for _ in range(2):
        assert scene.ga("--no-unpack").exit_code == ExitCode.OK
    assert scene.downloads == 2
    path = scene.out / "spack.artifacts.amd64.zip"
    assert zipfile.ZipFile(path).testzip() is None
    content = path.read_bytes()
    path.write_bytes(content.replace(b"packages", b"pac1ages", 1)[: len(content)])
    assert scene.ga("--no-unpack").exit_code == ExitCode.OK
    assert (scene.downloads, path.read_bytes()) == (3, content)


def test_what_is_somebody_elses_stays(scene: Scene) -> None:
    scene.add("amd64")
    own = scene.out / "spack.artifacts.amd64" / "mine.txt"
    own.parent.mkdir()
    own.write_text("mine")
    result = scene.ga()
    assert result.exit_code == ExitCode.REFUSED
    assert "spack.artifacts.amd64: is there, but not from ga" in result.stderr
    assert set(scene.files) == {
        "build.env",
        "spack.artifacts.amd64/mine.txt",
        "spacktainer.artifacts.amd64/spacktainer_pipeline.yaml",
    }
    assert scene.files["build.env"] == b""


@pytest.mark.parametrize("tail", [b'{"name": "spack.art', b"null\n", b'{"name": 1}\n', b"\xff\n", b'{"name": "x"'])
def test_half_a_record_is_no_record(scene: Scene, tail: bytes) -> None:
    """As a run leaves it that is killed while it writes; what stands before it counts, and what comes after it."""
    scene.add("amd64")
    assert scene.ga().exit_code == ExitCode.OK
    records = scene.out / ".ga" / "records.jsonl"
    before = records.read_bytes()
    records.write_bytes(before + tail)
    scene.add("arm64", packages=False)
    assert scene.ga().exit_code == ExitCode.OK
    assert scene.downloads == 3
    assert records.read_bytes().startswith(before)
    assert [json.loads(line)["name"] for line in records.read_bytes().splitlines()][-1] == "spacktainer.artifacts.arm64"
    new = {f"spacktainer.artifacts.arm64/{names.CONTAINER_PIPELINE}": b"new: {}\n"}
    scene.base.job(names.containers_job("arm64"), new)
    for _ in range(2):
        assert scene.ga().exit_code == ExitCode.OK
    assert len(records.read_bytes().splitlines()) == 3, "lines that no longer count are gone"


def test_two_runs_in_one_folder_do_not_meet(scene: Scene) -> None:
    scene.add("amd64")
    with output_folder.opened(scene.out):
        assert scene.ga().exit_code == ExitCode.REFUSED
    assert scene.ga().exit_code == ExitCode.OK


@pytest.mark.parametrize("totals", [True, False])
def test_pages(scene: Scene, totals: bool) -> None:
    """D101: the first page only."""
    scene.gitlab.totals = totals
    for number in range(110):
        scene.parent.bridge(f"another {number}")
        scene.base.job(f"build {number}")
    for architecture in ("amd64", "arm64"):
        scene.add(architecture)
    for number in range(110):
        scene.base.job(f"test {number}")
    scene.parent.jobs.reverse()
    assert scene.ga().exit_code == ExitCode.OK
    assert scene.files["build.env"] == b"amd64=yes\narm64=yes\n"


@pytest.mark.parametrize("url", ["http://elsewhere.example.org", "http://elsewhere.example.org/pages"])
def test_pages_of_a_server_that_calls_itself_otherwise(scene: Scene, url: str) -> None:
    scene.gitlab.external_url = url
    for number in range(110):
        scene.base.job(f"build {number}")
    scene.add("amd64")
    scene.base.jobs.reverse()
    assert scene.ga().exit_code == ExitCode.OK


def test_a_page_link_to_a_stranger_brings_no_token(scene: Scene) -> None:
    stranger = scene.gitlab.store
    link = {"Link": f'<{stranger.url}/next?page=2>; rel="next"'}
    scene.gitlab.fail("trigger_jobs", json_answer([], headers=link))
    result = scene.ga()
    assert result.exit_code == ExitCode.COULD_NOT_ASK
    assert [request.path for request in stranger.requests] == ["/next"]
    assert not TOKEN_HEADERS & set(stranger.requests[0].headers)


@pytest.mark.parametrize("private", [False, True])
def test_the_object_store_never_sees_a_token(scene: Scene, private: bool) -> None:
    """D69: PRIVATE-TOKEN and JOB-TOKEN go along with a redirect, if nobody takes care."""
    scene.gitlab.redirects = True
    scene.add("amd64")
    more = {"CI_JOB_TOKEN": "", "GITLAB_API_TOKEN": scene.gitlab.private_token} if private else {}
    result = scene.ga("-v", **more)
    assert result.exit_code == ExitCode.OK, result.output
    assert set(scene.files) == {*BOTH, "build.env"}
    assert len(scene.gitlab.store.requests) == 2
    for request in scene.gitlab.store.requests:
        assert not TOKEN_HEADERS & set(request.headers)
        assert scene.gitlab.job_token not in str(request)
        assert scene.gitlab.private_token not in str(request)


def test_nothing_secret_is_printed_or_written(scene: Scene) -> None:
    """Addresses of the object store are secrets, too, and its errors quote them."""
    scene.gitlab.redirects = True
    scene.add("amd64")
    scene.gitlab.fail("^/artifacts/", Cut(3), Answer(403, f"<Error>{SIGNATURE}</Error>".encode()), Answer(302))
    result = scene.ga("-v", GITLAB_API_TOKEN=scene.gitlab.private_token)
    assert result.exit_code == ExitCode.COULD_NOT_ASK
    with closing(scene.server()) as server:
        scene.gitlab.store.__exit__()
        job = discover(server, scene.parent_id, WantedArtifacts()).jobs[0]
        with pytest.raises(CouldNotAskError, match="cannot connect") as error:
            list(server.archive(job))
        scene.gitlab.store = contextlib.nullcontext()  # type: ignore[assignment]
    written = b"".join(path.read_bytes() for path in scene.out.rglob("*") if path.is_file())
    for secret in (SIGNATURE, scene.gitlab.job_token, scene.gitlab.private_token):
        assert secret not in result.output + str(error.value)
        assert secret.encode() not in written


def test_libraries_print_no_addresses_of_the_object_store(scene: Scene) -> None:
    """urllib3 logs each further try with the address."""
    scene.gitlab.redirects = True
    scene.add("amd64")
    scene.gitlab.fail("^/artifacts/", HANG_UP)
    environment = {**os.environ, **scene.environment}
    command = [sys.executable, "-m", "get_artifacts"]
    done = subprocess.run(command, cwd=scene.out, env=environment, capture_output=True, text=True, check=True)
    assert len(scene.gitlab.store.requests) == 3
    assert SIGNATURE not in done.stdout + done.stderr


def test_credentials_do_not_show() -> None:
    credential = Credential.private("secret")
    assert "secret" not in repr(credential)
    assert "secret" not in repr(GitLabServer("http://127.0.0.1/api/v4", [credential], QUICK).__dict__)


@pytest.mark.parametrize("version", [(16, 0), (17, 9), (18, 5), (19, 2)])
def test_the_job_token_first_the_private_one_where_it_must(scene: Scene, version: tuple[int, int]) -> None:
    scene.gitlab.version = version
    scene.add("amd64")
    result = scene.ga(GITLAB_API_TOKEN=scene.gitlab.private_token)
    assert result.exit_code == ExitCode.OK, result.output
    private = [request for request in scene.gitlab.requests if "authorization" in request.headers]
    assert bool(private) == (version < (19, 2))
    assert "job-token" in scene.gitlab.requests[0].headers
    bridges = [request.path for request in scene.gitlab.requests if request.path.endswith("/bridges")]
    assert bool(bridges) == (version < (19, 2))
    refused = sum("job-token" in request.headers for request in scene.gitlab.requests) if private else 0
    assert refused <= 2, "a token that was refused is not tried again and again"


@pytest.mark.parametrize("private", ["", "wrong"])
def test_one_message_when_nobody_may_list(scene: Scene, private: str) -> None:
    scene.gitlab.version = (17, 9)
    scene.add("amd64")
    result = scene.ga(GITLAB_API_TOKEN=private)
    assert result.exit_code == ExitCode.COULD_NOT_ASK
    assert result.stderr.count("project access token") == 1
    assert "the job token got HTTP 401" in result.stderr
    assert ("the private token got HTTP 401" in result.stderr) == bool(private)
    assert "wrong" not in result.stderr
    assert not scene.files


def test_tokens_by_file_and_in_the_command_line(scene: Scene, tmp_path: Path) -> None:
    scene.add("amd64")
    file = tmp_path / "token"
    file.write_text(scene.gitlab.private_token + "\n")
    result = scene.ga("--private-token-file", str(file), CI_JOB_TOKEN="")
    assert (result.exit_code, "others can read" in result.stderr) == (ExitCode.OK, False)
    result = scene.ga("--private-token", scene.gitlab.private_token, CI_JOB_TOKEN="")
    assert (result.exit_code, "others can read" in result.stderr) == (ExitCode.OK, True)
    result = scene.ga(GITLAB_API_TOKEN="two\nlines of secret")
    assert result.exit_code == ExitCode.USAGE
    assert "lines of secret" not in result.stderr


def test_the_site_file_names_variable_and_limit(scene: Scene) -> None:
    scene.add("amd64")
    settings = "gitlab: {api_token_variable: OUR_TOKEN, limits: {max_artifact_bytes: 300}}\n"
    write_repository(scene.out, text=(FROZEN_SITE / "spacktainers.yaml").read_text() + settings)
    result = scene.ga(CI_JOB_TOKEN="", OUR_TOKEN=scene.gitlab.private_token)
    assert result.exit_code == ExitCode.LIMIT_EXCEEDED, result.output
    assert "more than a trigger's YAML may come from (300)" in result.stderr


def test_a_setting_of_the_site_file_that_is_none_is_told_at_its_place(scene: Scene) -> None:
    for number, settings in enumerate(
        ("{limits: {max_artifact_bytes: many}}", "{api_token_variable: 5}", "{limits: {max_artifact_bytes: true}}")
    ):
        write_repository(scene.out, text=f"gitlab: {settings}\n")
        result = scene.ga()
        assert result.exit_code == ExitCode.INVALID_INPUT, number
        assert "spacktainers.yaml:1:" in result.stderr


def test_no_token_at_all(scene: Scene) -> None:
    result = scene.ga(CI_JOB_TOKEN="")
    assert result.exit_code == ExitCode.COULD_NOT_ASK
    assert "nobody in particular got HTTP 404: 404 Project Not Found" in result.stderr


def test_a_pipeline_that_is_not_there(scene: Scene) -> None:
    result = scene.ga("--parent-pipeline", "1")
    assert result.exit_code == ExitCode.NOT_THERE
    assert f"pipeline 1 of project {scene.project.id}: GitLab has no such thing" in result.stderr


def test_a_project_by_its_path(scene: Scene) -> None:
    scene.add("amd64")
    assert scene.ga("--project", "group/containers").exit_code == ExitCode.OK


def test_a_child_in_another_project(scene: Scene) -> None:
    other = scene.gitlab.project("group/other", has_job=False)
    child = scene.parent.child("elsewhere", project=other)
    child.job("report", {"report.txt": b"x"})
    arguments = ("--bridge", "elsewhere", "--job", "report")
    refused = scene.ga(*arguments)
    assert refused.exit_code == ExitCode.COULD_NOT_ASK
    assert "allowlist" in refused.stderr
    other.allows_job_token = True
    assert scene.ga(*arguments).exit_code == ExitCode.OK
    other.allows_job_token = False
    shutil.rmtree(scene.out / "report")
    assert scene.ga(*arguments, GITLAB_API_TOKEN=scene.gitlab.private_token).exit_code == ExitCode.OK
    assert scene.files == {"report/report.txt": b"x"}
    other.has_member = False
    hidden = scene.ga(*arguments, GITLAB_API_TOKEN=scene.gitlab.private_token)
    assert hidden.exit_code == ExitCode.COULD_NOT_ASK
    assert "404 Project Not Found" in hidden.stderr


def test_children_of_children_and_several_bridges(scene: Scene) -> None:
    scene.base.child("inner").job("deep", {"a/b": b"deep"})
    scene.parent.child("second").job("other", {"c": b"other"})
    scene.parent.child("third").job("other", {"c": b"not asked for"})
    result = scene.ga("--bridge", names.BASE_BRIDGE, "--bridge", "sec*", "--job", "deep", "--job", "oth*", "--json")
    assert result.exit_code == ExitCode.OK, result.output
    assert scene.files == {"deep/a/b": b"deep", "other/c": b"other"}
    value = json.loads(result.stdout)
    assert [(one["path"], one["files"], one["is_new"]) for one in value["artifacts"]] == [
        ("other", ["c"], True),
        ("deep", ["a/b"], True),
    ]
    assert value["problems"] == []


def test_of_retried_jobs_and_bridges_the_last_counts(scene: Scene) -> None:
    scene.add("amd64")
    base = scene.parent.child(names.BASE_BRIDGE)
    base.job(names.process_job("amd64"), status="failed")
    base.job(names.process_job("amd64"), {"spack.artifacts.amd64/spack_pipeline.yaml": b"second: {}\n"})
    assert scene.ga().exit_code == ExitCode.OK
    assert scene.files == {"spack.artifacts.amd64/spack_pipeline.yaml": b"second: {}\n", "build.env": b"amd64=yes\n"}


def test_what_is_missing_does_not_keep_the_rest_away(scene: Scene) -> None:
    scene.add("amd64")
    scene.base.job(names.containers_job("arm64"), status="failed")
    scene.base.job(names.containers_job("riscv64"), {"elsewhere/x.yaml": b""}, status="failed")
    scene.base.job(names.containers_job("ppc64le"), expires="2020-01-01T00:00:00.000Z")
    result = scene.ga()
    assert result.exit_code == ExitCode.NOT_THERE
    assert set(scene.files) == {*BOTH, "build.env"}
    assert scene.files["build.env"] == b"amd64=yes\n"
    assert "'generate spacktainer jobs for arm64': it ended as 'failed' and left no artifacts" in result.stderr
    assert "left no spacktainer.artifacts.riscv64/spacktainer_pipeline.yaml; its archive holds 'elsewhere/x.yaml'" in (
        result.stderr
    )
    assert "expired on 2020-01-01" in result.stderr
    assert "job 'generate spacktainer jobs for riscv64' ended as 'failed'; taking what it left" in result.stderr


def test_artifacts_that_vanish_in_between(scene: Scene) -> None:
    scene.add("amd64")
    scene.gitlab.fail("/artifacts$", json_answer({"message": "404 Not Found"}, 404))
    result = scene.ga()
    assert result.exit_code == ExitCode.NOT_THERE
    assert "they were erased or have expired" in result.stderr


def test_not_finished_is_said_and_waited_for(scene: Scene) -> None:
    scene.add("amd64")
    job = scene.base.jobs[0]
    job.status, archive, job.archive = "running", job.archive, None
    result = scene.ga()
    assert result.exit_code == ExitCode.NOT_READY
    assert "job 'process spack pipeline for amd64' is 'running'" in result.stderr
    assert "--wait SECONDS" in result.stderr
    assert scene.ga("--wait", "0.2").exit_code == ExitCode.NOT_READY
    asked = len(scene.gitlab.requests)

    def finish(_: object) -> None:
        if len(scene.gitlab.requests) > asked + 5:
            job.status, job.archive = "success", archive

    scene.gitlab.before_answer = finish
    assert scene.ga("--wait", "30").exit_code == ExitCode.OK
    assert set(scene.files) == {*BOTH, "build.env"}


def test_a_bridge_that_has_no_pipeline(scene: Scene) -> None:
    scene.parent.jobs.clear()
    bridge = scene.parent.bridge(names.BASE_BRIDGE, status="created")
    assert scene.ga().exit_code == ExitCode.NOT_READY
    bridge.status, bridge.failure = "failed", "downstream_pipeline_creation_failed"
    result = scene.ga()
    assert result.exit_code == ExitCode.NOT_THERE
    assert "downstream_pipeline_creation_failed" in result.stderr


@pytest.mark.parametrize(
    "faults",
    [
        [Answer(502), Answer(503)],
        [Answer(429, headers={"Retry-After": "0"})],
        [Answer(429, headers={"Retry-After": "1"})],
        [Answer(429, headers={"Retry-After": "soon"}), Answer(503, headers={"Retry-After": "-7"})],
        [Answer(500), Answer(520)],
    ],
)
@pytest.mark.parametrize("path", ["trigger_jobs", "pipelines/\\d+/jobs", "artifacts"])
def test_transient_failures_pass(scene: Scene, faults: list[Answer], path: str) -> None:
    scene.add("amd64")
    scene.gitlab.fail(path, *faults)
    with closing(scene.server()) as server:
        family = discover(server, scene.parent_id, WantedArtifacts())
        assert len(family.jobs) == 2
        assert b"".join(server.archive(family.jobs[0])) == scene.base.jobs[1].archive


def test_a_date_in_retry_after_is_obeyed(scene: Scene) -> None:
    """python-gitlab raises ValueError for it."""
    until = datetime.now(UTC) + timedelta(seconds=2)
    scene.gitlab.fail("trigger_jobs", Answer(429, headers={"Retry-After": format_datetime(until, usegmt=True)}))
    start = time.monotonic()
    with closing(scene.server()) as server:
        server.bridges(scene.parent_id)
    assert time.monotonic() - start >= 0.9


def test_nobody_waits_for_hours(scene: Scene) -> None:
    scene.gitlab.fail("trigger_jobs", Answer(429, headers={"Retry-After": "7200"}))
    start = time.monotonic()
    with closing(scene.server()) as server:
        server.bridges(scene.parent_id)
    assert 0.9 <= time.monotonic() - start < 10


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Answer(502), "HTTP 502"),
        (Answer(429, headers={"Retry-After": "0"}), "HTTP 429"),
        (SILENCE, "no answer within 0.5 seconds"),
        (Answer(200, b"<html>please log in</html>", {"Content-Type": "text/html"}), "no JSON came"),
        (json_answer({"a": "mapping"}), "what answered is no GitLab"),
        (json_answer([{"id": "x"}]), "what answered is no GitLab"),
        (Answer(302, headers={"Location": "/api/v4/projects/1/pipelines/1/trigger_jobs"}), "redirected in a circle"),
    ],
)
def test_no_answer_is_never_taken_for_nothing_there(scene: Scene, fault: Answer, reason: str) -> None:
    scene.gitlab.fail("trigger_jobs", *[fault] * 40)
    with closing(scene.server()) as server, pytest.raises(CouldNotAskError, match=reason):
        server.bridges(scene.parent_id)
    assert len(scene.gitlab.requests) <= max(QUICK.attempts, 31 if fault.status == 302 else 0)


def test_errors_of_later_pages(scene: Scene) -> None:
    for number in range(150):
        scene.base.job(f"job {number}")
    first = iter([True])

    def fail(request: Any) -> None:
        if request.query.get("page") == ["2"] and next(first, False):
            scene.gitlab.fail("jobs$", *[Answer(502)] * 3)

    scene.gitlab.before_answer = fail
    child = PipelineId(scene.project.id, scene.base.id)
    with closing(scene.server()) as server:
        with pytest.raises(CouldNotAskError, match="HTTP 502"):
            server.jobs(child)
        assert len(server.jobs(child)) == 150


def test_nobody_listens() -> None:
    with FakeGitLab() as gitlab:
        url = gitlab.api_url
    server = GitLabServer(url, [], QUICK)
    with closing(server), pytest.raises(CouldNotAskError, match="cannot connect"):
        server.bridges(PipelineId(1, 1))


@pytest.mark.parametrize("redirects", [False, True])
def test_downloads_that_break_off_start_again(scene: Scene, redirects: bool) -> None:
    scene.gitlab.redirects = redirects
    scene.add("amd64")
    path = "^/artifacts/" if redirects else "/artifacts$"
    other = zip_of({"spack.artifacts.amd64/spack_pipeline.yaml": b"of another size"})
    scene.gitlab.fail(path, Cut(0), Cut(50), Answer(200, other[:-30]), Answer(200, other))
    result = scene.ga()
    assert result.exit_code == ExitCode.OK, result.output
    assert "trying again" in result.stderr
    assert set(scene.files) == {*BOTH, "build.env"}


@pytest.mark.parametrize("unpacks", [True, False])
def test_what_turns_out_to_be_damaged_when_it_is_unpacked_comes_again(scene: Scene, unpacks: bool) -> None:
    """Of the right size and with a good directory, but what a file holds is not what was packed."""
    scene.add("amd64", packages=False)
    (job,) = scene.base.jobs
    assert isinstance(job.archive, bytes)
    name = names.CONTAINER_PIPELINE.encode()
    start = job.archive.index(name) + len(name) + 2
    damaged = job.archive[:start] + bytes([job.archive[start] ^ 0xFF]) + job.archive[start + 1 :]
    scene.gitlab.fail("/artifacts$", Answer(200, damaged))
    result = scene.ga(*([] if unpacks else ["--no-unpack"]))
    assert result.exit_code == ExitCode.OK, result.output
    assert scene.downloads == 2
    if unpacks:
        assert scene.files.keys() > {f"{names.container_artifacts('amd64')}/{names.CONTAINER_PIPELINE}"}


@pytest.mark.parametrize("path", ["trigger_jobs", "pipelines/\\d+/jobs", "artifacts$"])
def test_being_sent_to_sign_in_is_no_answer(scene: Scene, path: str) -> None:
    """As before GitLabs that let nobody in without a browser, and for what a token may not see."""
    scene.add("amd64", packages=False)
    away = Answer(302, headers={"Location": f"{scene.gitlab.url}/users/sign_in"})
    scene.gitlab.fail(path, *[away] * 20)
    result = scene.ga()
    assert result.exit_code == ExitCode.COULD_NOT_ASK, result.output
    assert "the job token was sent to sign in" in result.stderr


def test_the_authority_that_the_runner_was_told_is_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.integration.certificates import own_authority

    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    tls, certificate = own_authority(tmp_path)
    with FakeGitLab(tls=tls) as gitlab:
        project = gitlab.project()
        parent = project.pipeline()
        (tmp_path / "out").mkdir()
        scene = Scene(gitlab, project, parent, parent.child(names.BASE_BRIDGE), tmp_path / "out")
        scene.add("amd64")
        assert "is not trusted" in scene.ga().stderr
        done = scene.ga(CI_SERVER_TLS_CA_FILE=str(certificate))
        assert done.exit_code == ExitCode.OK, done.output
        assert set(scene.files) == {*BOTH, "build.env"}
        assert scene.ga(CI_SERVER_TLS_CA_FILE=str(tmp_path / "nothing")).exit_code == ExitCode.CANNOT_ACCESS_FILE


@pytest.mark.parametrize("private", [False, True])
def test_a_proxy_is_asked_for_everything_but_what_is_excepted(scene: Scene, private: bool) -> None:
    """Lists and archives take the same way, and the object store is told no token there either."""
    scene.gitlab.redirects = True
    scene.add("amd64")
    more = {"CI_JOB_TOKEN": "", "GITLAB_API_TOKEN": scene.gitlab.private_token} if private else {}
    servers = {"gitlab.invalid": scene.gitlab.url, "store.invalid": scene.gitlab.store.url}
    scene.gitlab.store.url = "http://store.invalid"
    with forwarding_proxy(servers) as proxy:
        address = proxy.url.replace("http://", "http://somebody:word@")
        more |= {"CI_API_V4_URL": "http://gitlab.invalid/api/v4", "http_proxy": address}
        result = scene.ga(**more)
        assert result.exit_code == ExitCode.OK, result.output
        assert set(scene.files) == {*BOTH, "build.env"}
        asked = [request.headers["host"] for request in proxy.requests]
        assert asked.count("store.invalid") == 2
        assert asked.count("gitlab.invalid") == len(asked) - 2 > 2
        assert {request.headers["proxy-authorization"] for request in proxy.requests} == {"Basic c29tZWJvZHk6d29yZA=="}
        for request in proxy.requests:
            assert bool(TOKEN_HEADERS & set(request.headers)) == (request.headers["host"] == "gitlab.invalid")
        excepted = scene.ga(**{**more, "no_proxy": "127.0.0.1", "CI_API_V4_URL": scene.gitlab.api_url})
        assert (excepted.exit_code, len(proxy.requests)) == (ExitCode.OK, len(asked))
    refused = scene.ga(**more)
    assert refused.exit_code == ExitCode.COULD_NOT_ASK
    assert "the proxy does not let gitlab.invalid be reached" in refused.stderr
    assert "word@" not in refused.output


def test_what_always_comes_damaged_is_an_error(scene: Scene) -> None:
    scene.add("amd64", packages=False)
    job = scene.base.jobs[0]
    assert isinstance(job.archive, bytes)
    job.archive = job.archive[:20] + b"\xff" * 10 + job.archive[30:]
    content = bytearray(job.archive)
    content[content.rfind(b"PK\x01\x02")] = 0
    job.archive = bytes(content)
    with closing(scene.server()) as server:
        items = choose(discover(server, scene.parent_id, WantedArtifacts()), WantedArtifacts(), datetime.now(UTC)).items
        with output_folder.opened(scene.out) as opened, progress(Console(file=io.StringIO()), 0) as display:
            arrivals, errors = Fetcher(server, opened, display, patience=QUICK).fetch_all(items)
    assert (arrivals, [type(error) for error in errors]) == ([], [DamagedError])
    assert scene.downloads == QUICK.attempts
    assert scene.files == {}


def test_hostile_archives(scene: Scene) -> None:
    scene.add("amd64")
    scene.base.job(names.containers_job("arm64"), {"../../evil.yaml": b"x"})
    result = scene.ga()
    assert result.exit_code == ExitCode.REFUSED
    assert "'../../evil.yaml' is no path within a folder" in result.stderr
    assert set(scene.files) == {*BOTH, "build.env"}
    assert not list(scene.out.parent.rglob("evil*"))
    shutil.rmtree(scene.out / "spack.artifacts.amd64")
    limited = scene.ga("--max-files", "1")
    assert limited.exit_code == ExitCode.REFUSED
    assert "see --max-files" in limited.stderr


def test_the_limit_of_archives_that_triggers_read_from(scene: Scene) -> None:
    folder = names.package_artifacts("amd64")
    incompressible = os.urandom(3 << 20).hex().encode()
    files = {f"{folder}/{name}.yaml": incompressible for name in ("spack_pipeline", "packages_1")}
    scene.base.job(names.process_job("amd64"), files)
    result = scene.ga()
    assert result.exit_code == ExitCode.LIMIT_EXCEEDED
    assert "the archive of these artifacts: 7," in result.stderr
    assert "spack.artifacts.amd64/packages_1.yaml: 6,291,456 bytes, 1,048,576 more than" in result.stderr
    assert set(files) <= set(scene.files)


def test_a_full_disk_is_named(scene: Scene) -> None:
    scene.add("amd64", packages=False)
    scene.out.chmod(0o500)
    try:
        if os.access(scene.out, os.W_OK):
            (scene.out / ".ga").write_text("in the way")
        result = scene.ga()
    finally:
        scene.out.chmod(0o700)
    assert result.exit_code == ExitCode.CANNOT_ACCESS_FILE


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_run_leaves_no_half_file(scene: Scene, number: signal.Signals) -> None:
    """One archive came, one is half there, when the command is told to end."""
    scene.add("amd64")
    scene.add("arm64", packages=False)
    scene.gitlab.fail(f"/{scene.base.jobs[0].id}/artifacts$", Cut(100, hangs=True))
    environment = {**os.environ, **scene.environment}
    command = [sys.executable, "-m", "get_artifacts", "-q"]
    staging = scene.out / ".ga" / "staging"
    with subprocess.Popen(command, cwd=scene.out, env=environment) as process:
        try:
            _until(lambda: len(scene.files) == 2 and _names(staging) == ["spack.artifacts.amd64.zip"])
            process.send_signal(number)
            _until(lambda: number == signal.SIGKILL or not staging.exists())
        finally:
            process.kill()
    others = {f"spacktainer.artifacts.{name}/spacktainer_pipeline.yaml" for name in ("amd64", "arm64")}
    assert set(scene.files) == others
    assert scene.ga().exit_code == ExitCode.OK
    assert set(scene.files) == {*BOTH, *others, "build.env"}
    assert scene.downloads == 4
    assert not staging.exists()


def _names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def _until(happened: Callable[[], bool]) -> None:
    """Waits for something that another process does to files; folders may move while they are looked at."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        with contextlib.suppress(FileNotFoundError):
            if happened():
                return
        time.sleep(0.01)
    raise TimeoutError


def test_a_large_archive_takes_no_memory(scene: Scene, tmp_path: Path) -> None:
    large = tmp_path / "large.zip"
    with zipfile.ZipFile(large, "w") as archive, archive.open("large", "w", force_zip64=True) as stream:
        for _ in range(160):
            stream.write(bytes(1 << 20))
    scene.base.job("large", archive=large)
    # What the parent is told of a child counts what the test process itself had when it forked.
    code = (
        "import re; from get_artifacts.__main__ import main; "
        "main(['-q', '--job', 'large'], standalone_mode=False); "
        "print(re.search(r'VmHWM:\\s+(\\d+) kB', open('/proc/self/status').read())[1])"
    )
    environment = {**os.environ, **scene.environment}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=scene.out, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == ExitCode.OK, done.stderr
    assert int(done.stdout) / 1024 <= 120
    assert (scene.out / "large" / "large").stat().st_size == 160 << 20


def test_usage(tmp_path: Path) -> None:
    runner = CliRunner()
    with contextlib.chdir(tmp_path):
        assert "CI_PIPELINE_ID" in runner.invoke(main, []).output
        for url in ("ftp://x/api/v4", "https://user:word@x/api/v4", "nonsense", "http://[/"):
            result = runner.invoke(main, ["-P", "1", "--project", "1", "--api-url", url])
            assert result.exit_code == ExitCode.USAGE
            assert "word" not in result.output.replace("password", "")


@pytest.mark.parametrize("max_jobs", [None, 40])
def test_real_pipelines_arrive_whole(scene: Scene, tmp_path: Path, max_jobs: int | None) -> None:
    """Everything that the triggers of a package pipeline name is where they look for it."""
    repository = write_repository(tmp_path / "repository")
    shutil.copytree(RECORDINGS / "spack-1.1", tmp_path / "in")
    left = tmp_path / "left" / names.package_artifacts("amd64")
    command = ["-C", str(repository), "process-spack-pipeline", "--architecture", "amd64"]
    command += ["--pipeline-dir", str(tmp_path / "in"), "--out-dir", str(left)]
    command += ["--max-jobs", str(max_jobs)] if max_jobs else []
    assert CliRunner().invoke(jc, command, catch_exceptions=False).exit_code == ExitCode.OK
    files = {f"{left.name}/{path.name}": path.read_bytes() for path in left.iterdir()}
    scene.base.job(names.process_job("amd64"), files)
    assert scene.ga().exit_code == ExitCode.OK
    assert scene.files == files | {"build.env": b"amd64=yes\n"}
    root = scene.files[f"{left.name}/{names.PACKAGE_PIPELINE}"]
    included = _included(load(root, "root"))
    assert included <= set(scene.files)
    assert bool(included) == bool(max_jobs)


def _included(document: Mapping[str, Any]) -> set[str]:
    triggers = [job["trigger"] for job in expand(document).values() if "trigger" in job]
    return {include["artifact"] for trigger in triggers for include in trigger["include"]}


def test_where_the_server_has_no_such_project(scene: Scene) -> None:
    with closing(scene.server(Credential.private(scene.gitlab.private_token))) as server:
        with pytest.raises(CouldNotAskError, match="Project Not Found"):
            server.jobs(PipelineId(12345, 1))
        with pytest.raises(NotThereError):
            server.jobs(PipelineId(scene.project.id, 1))
