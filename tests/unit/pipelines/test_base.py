"""The command line, run as users run it but for the process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from foundation.errors import ExitCode
from foundation.yaml_io import parse
from job_creator import inputs
from job_creator.engines.gitlab.jobs.environments import PROGRAMS
from job_creator.engines.gitlab.limits import check
from job_creator.pipelines import base
from job_creator.project_files import PROGRAMS_FOLDER
from job_creator.reports import text as report
from tests.commands import jc
from tests.samples import DEFAULT_BRANCH, FROZEN_SITE, REPOSITORY, SITE, write_repository


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return write_repository(tmp_path / "repository")


def test_create_jobs_writes_the_pipeline_and_the_environments(repository: Path, tmp_path: Path) -> None:
    out = tmp_path / "out" / "pipeline.yaml"
    result = jc("-C", str(repository), "create-jobs", "--offline", "-o", str(out))
    assert result.exit_code == ExitCode.OK, result.output
    assert {path.name for path in out.parent.iterdir()} == {
        "pipeline.yaml",
        "merged_spack_hdf5_amd64.yaml",
        PROGRAMS_FOLDER,
    }
    assert {path.name for path in (out.parent / PROGRAMS_FOLDER).iterdir()} == set(PROGRAMS)
    assert "generate build cache population job for hdf5 for amd64" in parse(out.read_bytes(), "p").value
    assert "wrote" in result.output


def test_a_second_run_writes_the_same_bytes_and_drops_what_is_gone(repository: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = ("-C", str(repository), "create-jobs", "--offline", "-o", str(out / "pipeline.yaml"))
    other = repository / "container_definitions" / "amd64" / "other.yaml"
    other.write_text("spack:\n  specs: [zlib]\n")
    jc(*arguments)
    first = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    jc(*arguments)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == first
    other.unlink()
    jc(*arguments)
    assert "merged_spack_other_amd64.yaml" not in {path.name for path in out.iterdir()}


def test_plan_says_the_same_and_writes_nothing(repository: Path) -> None:
    before = sorted(repository.rglob("*"))
    result = jc("-C", str(repository), "plan", "--offline", "--format", "json")
    plan = json.loads(result.stdout)
    assert sorted(repository.rglob("*")) == before
    assert {
        "subject": "base image",
        "name": "builder",
        "architecture": "amd64",
        "action": "build",
        "reason": "not asked whether it is published (--offline)",
    } in plan["decisions"]
    assert plan["environments"] == ["merged_spack_hdf5_amd64.yaml"]
    assert plan["findings"] == []


def test_the_plan_is_one_line_per_decision_in_a_job_log(repository: Path) -> None:
    lines = jc("-C", str(repository), "plan", "--offline").stdout.splitlines()
    assert lines[0].split() == ["WHAT", "NAME", "ARCH", "ACTION", "WHY"]
    assert [line for line in lines if line.startswith("environment")] == [
        "environment  hdf5                        amd64  concretize    compiles only what the build cache lacks"
    ]
    assert "\x1b" not in "".join(lines)


def test_the_plan_is_a_coloured_table_on_a_terminal(repository: Path) -> None:
    written = inputs.read_all(repository, "spacktainers.yaml")
    built = base.make_plan(repository, written, {}, offline=True)
    console = Console(force_terminal=True, width=160, color_system="standard")
    with console.capture() as capture:
        report.print_plan(
            built.decisions, built.pipeline, check(built.pipeline.document(), written.site.gitlab.limits), console
        )
    assert "\x1b[" in capture.get()


def test_without_a_registry_everything_is_planned_and_the_output_says_why(repository: Path, tmp_path: Path) -> None:
    text = with_local_sources(SITE, git_remote(tmp_path))
    text = text.replace("registry: {image: registry.example.org/group/containers}\n", "")
    (repository / "spacktainers.yaml").write_text(text)
    result = jc("-C", str(repository), "plan")
    assert result.exit_code == ExitCode.OK, result.output
    assert "no registry is configured, so nothing counts as published" in result.stdout


def git_remote(tmp_path: Path) -> Path:
    remote = tmp_path / "remote"
    identity = {
        "GIT_AUTHOR_NAME": "a",
        "GIT_AUTHOR_EMAIL": "a@b",
        "GIT_COMMITTER_NAME": "a",
        "GIT_COMMITTER_EMAIL": "a@b",
    }
    for command in (
        ["init", "--quiet", "-b", "main", str(remote)],
        ["-C", str(remote), "commit", "-m", "x", "--allow-empty"],
    ):
        subprocess.run(["git", *command], check=True, capture_output=True, env={**os.environ, **identity})
    return remote


def with_local_sources(text: str, remote: Path) -> str:
    """The site with Spack and its packages taken from a repository of this machine."""
    text = text.replace("ref: v1.1.0", f'ref: main\n  version: "1.1"\n  repository: "{remote.as_uri()}"')
    return text.replace(
        "https://git.example.org/spack-packages.git, ref: v2025.11.0", f'"{remote.as_uri()}", ref: main'
    )


def test_a_ref_that_the_remote_lacks_is_a_fault_at_its_place(repository: Path, tmp_path: Path) -> None:
    remote = git_remote(tmp_path)
    text = SITE.replace("spack:\n", f"spack:\n  repository: {remote.as_uri()}\n")
    (repository / "spacktainers.yaml").write_text(text)
    result = jc("-C", str(repository), "plan")
    assert result.exit_code == ExitCode.INVALID_INPUT
    assert f"spacktainers.yaml:4:8: {remote.as_uri()} has no ref 'v1.1.0'" in result.stderr


def test_a_version_instead_of_a_tag_is_recognized(repository: Path, tmp_path: Path) -> None:
    """Repositories of recipes have tags with a `v`, as Spack has."""
    remote = git_remote(tmp_path)
    text = with_local_sources(SITE, remote).replace(
        f'{remote.as_uri()}", ref: main', f'{remote.as_uri()}", ref: 2025.11.0'
    )
    (repository / "spacktainers.yaml").write_text(text)
    result = jc("-C", str(repository), "plan")
    assert result.exit_code == ExitCode.INVALID_INPUT
    assert f"{remote.as_uri()} has no ref '2025.11.0'; are its tags written like 'v2025.11.0'?" in result.stderr


def test_a_git_server_that_does_not_answer_is_no_missing_ref(repository: Path) -> None:
    text = SITE.replace("spack:\n", "spack:\n  repository: http://127.0.0.1:1/spack.git\n")
    (repository / "spacktainers.yaml").write_text(text)
    result = jc("-C", str(repository), "plan")
    assert result.exit_code == ExitCode.COULD_NOT_ASK
    assert "cannot resolve 'v1.1.0'" in result.stderr


def test_a_registry_that_does_not_answer_is_no_missing_image(repository: Path, tmp_path: Path) -> None:
    """D21, D72: every failure was read as "not there" and led to a rebuild, or to nothing being published."""
    text = with_local_sources(SITE, git_remote(tmp_path)).replace("registry.example.org/group", "127.0.0.1:1/group")
    (repository / "spacktainers.yaml").write_text(text)
    result = jc("-C", str(repository), "create-jobs", "-o", str(tmp_path / "out" / "p.yaml"))
    assert result.exit_code == ExitCode.COULD_NOT_ASK, result.output
    assert "127.0.0.1:1/group/containers/builder:" in result.stderr
    assert "cannot connect" in result.stderr
    assert not (tmp_path / "out").exists()


def test_check_lists_the_faults_of_all_files(repository: Path) -> None:
    (repository / "spacktainers.yaml").write_text(SITE + "registri: {}\n")
    (repository / "spack.yaml").write_text("spack:\n  vieww: x\n")
    (repository / "container_definitions" / "amd64" / "x.yaml").write_text("spack: {}\n")
    result = jc("-C", str(repository), "check")
    assert result.exit_code == ExitCode.INVALID_INPUT
    assert result.stderr.splitlines() == [
        "error: 3 faults",
        "container_definitions/amd64/x.yaml:1:8: 'specs' is missing",
        "spack.yaml:2:3: unknown key 'vieww'; did you mean 'view'?",
        f"spacktainers.yaml:{SITE.count(chr(10)) + 1}:1: unknown key 'registri'; did you mean 'registry'?",
    ]


def test_check_speaks_json_and_gitlabs_code_quality(repository: Path) -> None:
    bad = repository / "container_definitions" / "amd64" / "x.yaml"
    bad.write_text("spack:\n  specs: []\n")
    as_json = jc("-C", str(repository), "check", "--format", "json")
    assert as_json.exit_code == ExitCode.INVALID_INPUT
    assert json.loads(as_json.stdout) == [
        {
            "path": "container_definitions/amd64/x.yaml",
            "line": 2,
            "column": 10,
            "message": "'specs' must be a non-empty list",
            "hint": None,
        }
    ]
    (entry,) = json.loads(jc("-C", str(repository), "check", "--format", "gitlab").stdout)
    assert entry["location"] == {"path": "container_definitions/amd64/x.yaml", "lines": {"begin": 2}}
    assert entry["severity"] == "blocker"
    bad.write_text("# one line more\nspack:\n  specs: []\n")
    (moved,) = json.loads(jc("-C", str(repository), "check", "--format", "gitlab").stdout)
    assert moved["fingerprint"] == entry["fingerprint"]
    bad.unlink()
    assert json.loads(jc("-C", str(repository), "check", "--format", "gitlab").stdout) == []


def test_check_says_what_is_valid() -> None:
    result = jc("-C", str(FROZEN_SITE), "check")
    assert result.exit_code == ExitCode.OK
    assert result.stdout.startswith("all valid: 10 containers for amd64, arm64\n")


def test_no_definition_at_all_is_a_fault(repository: Path) -> None:
    """D10: an empty pipeline was written, which GitLab refuses."""
    (repository / "container_definitions" / "amd64" / "hdf5.yaml").unlink()
    result = jc("-C", str(repository), "create-jobs", "--offline")
    assert result.exit_code == ExitCode.INVALID_INPUT
    assert "no container is defined for amd64 or arm64" in result.stderr


def test_a_pipeline_over_the_limits_is_not_written(repository: Path, tmp_path: Path) -> None:
    (repository / "spacktainers.yaml").write_text(SITE + "gitlab: {limits: {max_yaml_bytes: 1000}}\n")
    result = jc("-C", str(repository), "create-jobs", "--offline", "-o", str(tmp_path / "out" / "p.yaml"))
    assert result.exit_code == ExitCode.LIMIT_EXCEEDED
    assert "parsed size (bytes)" in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_missing_file_is_named(repository: Path) -> None:
    (repository / "spacktainers.yaml").unlink()
    result = jc("-C", str(repository), "plan", "--offline")
    assert result.exit_code == ExitCode.CANNOT_ACCESS_FILE
    assert "spacktainers.yaml" in result.stderr


@pytest.mark.parametrize("command", [("check",), ("plan", "--offline"), ("tag-image", "x:1", "a"), ("render-ci",)])
def test_outside_of_a_repository_the_way_into_one_is_said(tmp_path: Path, command: tuple[str, ...]) -> None:
    result = jc("-C", str(tmp_path), *command)
    assert result.exit_code == ExitCode.CANNOT_ACCESS_FILE
    said = "no such file; start in the repository that has it, or name that with -C"
    assert result.stderr == f"error: {tmp_path}/spacktainers.yaml: {said}\n"


def test_tagging_names_the_server_that_does_not_answer(repository: Path) -> None:
    result = jc("-C", str(repository), "tag-image", "localhost:1/group/x:1", "1-amd64")
    assert result.exit_code == ExitCode.COULD_NOT_ASK
    assert result.stderr == "error: localhost:1/group/x:1: cannot connect to localhost:1\n"


def test_an_image_to_tag_is_no_url(repository: Path) -> None:
    result = jc("-C", str(repository), "tag-image", "docker://localhost:1/group/x:1", "1-amd64")
    assert result.exit_code == ExitCode.USAGE
    assert "leave out 'docker://'" in result.stderr


def test_forcing_needs_a_name_that_exists(repository: Path) -> None:
    wrong = jc("-C", str(repository), "plan", "--offline", "--force", "bulider")
    assert wrong.exit_code == ExitCode.INVALID_INPUT
    assert "there is no container or base image 'bulider' to be forced; did you mean 'builder'?" in wrong.stderr
    forced = jc("-C", str(repository), "plan", "--offline", environment={"SPACKTAINERS_FORCE": "all"})
    assert forced.stdout.count("forced") == 3
    forced = jc("-C", str(repository), "plan", "--offline", environment={"SPACKTAINERS_FORCE": "builder, hdf5"})
    assert forced.stdout.count("forced") == 1


def test_only_needs_a_name_that_exists(repository: Path) -> None:
    wrong = jc("-C", str(repository), "plan", "--offline", environment={"SPACKTAINERS_ONLY": "hdf5 hfd5"})
    assert wrong.exit_code == ExitCode.INVALID_INPUT
    assert "there is no container 'hfd5' to build only; did you mean 'hdf5'?" in wrong.stderr
    assert jc("-C", str(repository), "plan", "--offline", "--only", "hdf5").exit_code == ExitCode.OK


@pytest.mark.parametrize("command", ["create-jobs", "plan", "check", "schema"])
def test_every_command_explains_itself_with_an_example(command: str) -> None:
    result = jc(command, "--help")
    assert result.exit_code == ExitCode.OK
    assert f"jc {command}" in result.output
    assert "Example" in result.output


def test_the_exit_codes_in_the_help_are_those_of_the_code() -> None:
    text = jc("--help").output
    for code in ExitCode:
        assert f"\n  {int(code):<2}  " in text
    readme = (REPOSITORY / "README.md").read_text()
    for code in ExitCode:
        assert f"| {int(code)} |" in readme


def test_a_bug_keeps_its_traceback(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(inputs, "read_all", broken)
    with pytest.raises(ZeroDivisionError):
        jc("-C", str(repository), "plan", "--offline")


def test_the_help_needs_no_heavy_library() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from job_creator.__main__ import main; "
        "CliRunner().invoke(main, ['--help']); "
        "print([m for m in ('boto3','gitlab','requests','pydantic','rich','ruamel.yaml','jinja2') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_offline_plans_need_no_network_library(repository: Path) -> None:
    code = (
        "import sys; from click.testing import CliRunner; from job_creator.__main__ import main; "
        f"CliRunner().invoke(main, ['-C', {str(repository)!r}, 'plan', '--offline'], catch_exceptions=False); "
        "print([m for m in ('requests', 'boto3', 'gitlab') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_public_key_that_is_no_file_is_an_error_that_does_not_show_it(repository: Path) -> None:
    environment = {"SPACK_DEPLOYMENT_KEY_PUBLIC": "the key itself\n" * 100}
    result = jc("-C", str(repository), "plan", "--offline", environment=environment)
    assert result.exit_code == ExitCode.CANNOT_ACCESS_FILE
    assert "SPACK_DEPLOYMENT_KEY_PUBLIC: names no file; give the CI variable the type 'File'" in result.output
    assert "the key itself" not in result.output


def test_another_public_key_makes_another_builder_image(repository: Path, tmp_path: Path) -> None:
    outputs = []
    for content in ("one", "other"):
        key = tmp_path / "key"
        key.write_text(content)
        out = tmp_path / content
        arguments = ("-C", str(repository), "create-jobs", "--offline", "-o", str(out / "p.yaml"))
        jc(*arguments, environment={"SPACK_DEPLOYMENT_KEY_PUBLIC": str(key)})
        outputs.append(parse((out / "p.yaml").read_bytes(), "p").value)
    images = [document["build builder for amd64"]["variables"]["IMAGE"] for document in outputs]
    assert images[0] != images[1]


def test_no_secret_of_the_environment_comes_out_anywhere(repository: Path, tmp_path: Path) -> None:
    """D60-D66: passwords and keys in logs, arguments, layers and artifacts."""
    names = [
        *(
            f"{one}_{key}"
            for one in ("AWS_CACHE", "AWS_INFRASTRUCTURE", "BBP_CACHE")
            for key in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY")
        ),
        *("SPACK_DEPLOYMENT_KEY_PRIVATE", "SPACK_DEPLOYMENT_KEY_PUBLIC", "DOCKERHUB_USER", "DOCKERHUB_PASSWORD"),
        *("GITLAB_API_TOKEN", "CI_JOB_TOKEN", "CI_REGISTRY_PASSWORD", "CI_REGISTRY_USER", "AWS_SECRET_ACCESS_KEY"),
    ]
    secrets = {name: f"SECRET-VALUE-{number}" for number, name in enumerate(names)}
    # The one variable that is looked into, since GitLab makes a file of it.
    public_key = tmp_path / "public_key"
    public_key.write_text("SECRET-VALUE")
    secrets["SPACK_DEPLOYMENT_KEY_PUBLIC"] = str(public_key)
    out = tmp_path / "out"
    outputs = [
        jc("-C", str(repository), "-vv", *arguments, environment={**secrets, **DEFAULT_BRANCH}).output
        for arguments in (
            ("create-jobs", "--offline", "-o", str(out / "p.yaml")),
            ("plan", "--offline", "--format", "json"),
            ("plan",),
            ("check", "--format", "gitlab"),
        )
    ]
    written = [path.read_text() for path in out.rglob("*") if path.is_file()]
    assert len(written) == 2 + len(PROGRAMS)
    assert "SECRET-VALUE" not in "".join([*outputs, *written])
    assert "AWS_CACHE_SECRET_ACCESS_KEY" in "".join(written)
