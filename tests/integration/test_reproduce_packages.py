"""`jc reproduce` of a package job: the job runs, its artifacts go to a GitLab on this machine, and the script runs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from foundation.errors import ExitCode
from foundation.yaml_io import dump
from job_creator.builds import node_step
from job_creator.builds.node_step import read_records
from job_creator.environments.merged import merged_environment
from job_creator.environments.mirror_names import DESTINATION
from job_creator.rehearsal import replay
from job_creator.rehearsal.shell import stand_in
from tests.commands import jc
from tests.fakes.gitlab import FakeGitLab, FakeJob
from tests.integration.toy_environment import setting_of
from tests.samples import REPOSITORY, SITE, site

TEMPLATES = REPOSITORY / "job_creator" / "scripts" / "templates"
FOLDER = "jobs_scratch_dir.amd64/tools"
IMAGE = f"registry.example.org/group/builder@sha256:{'b' * 64}"
GREETING = 'a "b" $c `d` }\\e'


def spack_root(folder: Path) -> Path:
    """A Spack that compiles nothing, in a git repository, as that of the builder image is."""
    for name, text in {
        "bin/spack": stand_in.LAUNCHER,
        "share/spack/setup-env.sh": 'PATH="$SPACK_ROOT/bin:$PATH"\n',
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "bin" / "spack").chmod(0o755)
    git = ["git", "-C", str(folder), "-c", "user.name=n", "-c", "user.email=n@example.org"]
    for words in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "-m", "Spack"]):
        subprocess.run([*git, *words], check=True)
    return folder


def variables(**more: str) -> dict[str, str]:
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", **more}


def outcomes(folder: Path) -> dict[str, str]:
    """What became of each package."""
    path = folder / node_step.OUTCOMES / node_step.RECORDS
    return {one.package: one.state for one in read_records(path.read_bytes(), str(path))}


@pytest.fixture(name="job", scope="module")
def job_fixture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkout of a job that ran: one package was built, one was not, and one needs what is nowhere."""
    tmp_path = tmp_path_factory.mktemp("job")
    manifest: Any = merged_environment(setting_of(site(), site().spack.line), {}, {"specs": ["zlib-ng"]})
    section = manifest["spack"]
    section["mirrors"] = {DESTINATION: {"url": f"file://{tmp_path}/mirror"}}
    replayed = replay.concretized(["zlib-ng"])
    folder = tmp_path / "checkout" / FOLDER
    (folder / "concrete_environment").mkdir(parents=True)
    (folder / "concrete_environment" / "spack.yaml").write_text(dump(manifest))
    (folder / "concrete_environment" / "spack.lock").write_text(json.dumps(replayed.lock))
    document = replay.pipeline(replayed.lock, (), replay.build_job(section), {"job": "env", "pipeline": "1"}, FOLDER)
    document["variables"] |= {"GREETING": GREETING.replace("$", "$$"), "KEY": "$SECRET"}
    (folder / "pipeline.yml").write_text(dump(document))
    (folder / node_step.FOLDER).mkdir()
    for name in (node_step.PROGRAM, *node_step.BESIDE):
        (folder / node_step.FOLDER / name).write_bytes((TEMPLATES / name).read_bytes())
    specs = {node["name"]: f"{node['name']}@1/{key}" for key, node in replayed.lock["concrete_specs"].items()}
    packages = [specs[name] for name in ("gcc-runtime", "compiler-wrapper", "zlib-ng")]
    environment = variables(
        SPACK_ROOT=str(spack_root(tmp_path / "spack")),
        SPACK_ENV=f"{FOLDER}/concrete_environment",
        SPACK_CONCRETE_ENV_DIR=f"{FOLDER}/concrete_environment",
        SPACK_ARTIFACTS_ROOT=FOLDER,
        SPACKTAINERS_PACKAGES=" ".join(packages),
        CI_JOB_IMAGE=IMAGE,
        REHEARSAL_FAIL="compiler-wrapper",
        SPACKTAINERS_SAME_USER="yes",
    )
    command = [
        "sh",
        "-euc",
        '. "$SPACK_ROOT/share/spack/setup-env.sh"; spack python "$0"',
        str(TEMPLATES / node_step.PROGRAM),
    ]
    done = subprocess.run(command, cwd=tmp_path / "checkout", env=environment, check=False, capture_output=True)
    assert (done.returncode, len(outcomes(folder))) == (1, 3), done.stderr
    return tmp_path / "checkout"


def files(checkout: Path, below: str) -> dict[str, bytes]:
    found = (path for path in (checkout / FOLDER / below).rglob("*") if path.is_file())
    return {path.relative_to(checkout).as_posix(): path.read_bytes() for path in found}


def uploaded(gitlab: FakeGitLab, checkout: Path, *, keeps: bool = True, expired: bool = False) -> FakeJob:
    """The pipeline of that job."""
    pipeline = gitlab.project("group/containers").pipeline(source="parent_pipeline")
    left = {name: content for name, content in files(checkout, ".").items() if f"/{node_step.OUTCOMES}/" not in name}
    pipeline.job("env other", {"jobs_scratch_dir.amd64/other/concrete_environment/spack.lock": b"{}"})
    pipeline.job("env tools", None if expired else left)
    specs = json.loads(left[f"{FOLDER}/concrete_environment/spack.lock"])["concrete_specs"]
    hash_ = next(key for key, node in specs.items() if node["name"] == "zlib-ng")
    return pipeline.job(
        f"some@1 /{hash_[:20]}", files(checkout, node_step.OUTCOMES) if keeps else None, status="failed"
    )


def reproduced(gitlab: FakeGitLab, job: FakeJob, target: Path, *more: str, code: int = 0) -> str:
    url = f"{gitlab.url}/group/containers/-/jobs/{job.id}"
    done = jc(
        *("-C", str(target.parent), "reproduce", url, "--out-dir", str(target), *more),
        environment={"GITLAB_API_TOKEN": gitlab.private_token},
    )
    assert done.exit_code == code, done.output
    return done.output


def script(folder: Path, *arguments: str, root: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Run what was written, the way that its README says."""
    environment = variables(SPACK_ROOT=str(root), SPACKTAINERS_SAME_USER="yes", **more)
    command = ["sh", str(folder / "reproduce.sh"), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_the_script_builds_what_the_job_built_and_pushes_it_nowhere(job: Path, tmp_path: Path) -> None:
    mirror = sorted((job.parent / "mirror").rglob("*"))
    with FakeGitLab() as gitlab:
        output = reproduced(gitlab, uploaded(gitlab, job), tmp_path / "again", "--json")
    told = json.loads(output)
    assert told["image"] == IMAGE
    assert [one.partition("@")[0] for one in told["packages"]] == ["gcc-runtime", "compiler-wrapper", "zlib-ng"]
    first = script(tmp_path / "again", "here", root=job.parent / "spack", REHEARSAL_FAIL="compiler-wrapper")
    # It fails as the job did.
    assert first.returncode == 1, first.stderr
    assert outcomes(tmp_path / "again" / "results") == outcomes(job / FOLDER)
    assert "Spack is at commit" not in first.stderr
    second = script(tmp_path / "again", "here", root=job.parent / "spack")
    assert outcomes(tmp_path / "again" / "results")["compiler-wrapper"] == "built", second.stderr
    assert list((tmp_path / "again" / "results" / "packages").rglob("gcc-runtime-*.spec.manifest.json"))
    assert sorted((job.parent / "mirror").rglob("*")) == mirror


def test_the_job_of_a_lost_runner_is_found_by_its_name(job: Path, tmp_path: Path) -> None:
    with FakeGitLab(redirects=True) as gitlab:
        output = reproduced(gitlab, uploaded(gitlab, job, keeps=False), tmp_path / "again")
        assert "wrote" in output
        made_from = json.loads((tmp_path / "again" / "made_from.json").read_text())
        assert made_from["image"] == "registry.example.org/builder:1-amd64"
        assert not [one for one in gitlab.store.requests if gitlab.private_token in str(one.headers)]


def test_values_of_the_pipeline_come_along_and_names_of_secrets_do_not(job: Path, tmp_path: Path) -> None:
    with FakeGitLab() as gitlab:
        reproduced(gitlab, uploaded(gitlab, job), tmp_path / "again")
    lines = tmp_path / "again" / "variables.sh"
    show = f'. "{lines}"; printf "%s\\n" "$GREETING" "${{KEY:-none}}"'
    shown = subprocess.run(["sh", "-euc", show], capture_output=True, text=True, check=True).stdout
    assert shown.splitlines() == [GREETING, "none"]
    own = subprocess.run(["sh", "-euc", show], env={"GREETING": "own"}, capture_output=True, text=True, check=True)
    assert own.stdout.splitlines()[0] == "own"


def test_another_commit_of_spack_is_told(job: Path, tmp_path: Path) -> None:
    with FakeGitLab() as gitlab:
        reproduced(gitlab, uploaded(gitlab, job), tmp_path / "again")
    other = spack_root(tmp_path / "other")
    git = ["git", "-C", str(other), "-c", "user.name=n", "-c", "user.email=n@example.org"]
    subprocess.run([*git, "commit", "--quiet", "--allow-empty", "-m", "newer"], check=True)
    assert "Spack is at commit" in script(tmp_path / "again", "here", root=other).stderr


def test_spack_is_cloned_at_its_commit_from_where_the_site_file_says(job: Path, tmp_path: Path) -> None:
    site_file = re.sub(r"  packages: \{repository: .*\n", "", SITE).replace("v1.1.0", "v0.23.1")
    site_file = site_file.replace("spack:\n", f"spack:\n  repository: {job.parent / 'spack'}\n")
    (tmp_path / "spacktainers.yaml").write_text(site_file)
    with FakeGitLab() as gitlab:
        reproduced(gitlab, uploaded(gitlab, job), tmp_path / "again")
    done = script(tmp_path / "again", "clone", root=tmp_path / "nowhere")
    results = tmp_path / "again" / "results"
    assert outcomes(results)["gcc-runtime"] == "built", done.stderr
    heads = [(folder / ".git" / "HEAD").read_text() for folder in (results / "spack", job.parent / "spack")]
    assert heads[0].strip() in (job.parent / "spack" / ".git" / heads[1].split()[1]).read_text()
    assert "Spack is at commit" not in done.stderr


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"expired": True}, ExitCode.NOT_THERE, "artifacts may have expired"),
        ({"token": "wrong"}, ExitCode.NOT_THERE, "HTTP 401"),
        ({"job": 7}, ExitCode.NOT_THERE, "job 7: GitLab has none (HTTP 404)"),
        ({"full": True}, ExitCode.REFUSED, "there is something in it already"),
    ],
)
def test_what_cannot_be_reproduced_is_told(
    job: Path, tmp_path: Path, change: dict[str, Any], code: ExitCode, words: str
) -> None:
    target = tmp_path / "again"
    if change.get("full"):
        target.mkdir()
        (target / "mine").touch()
    with FakeGitLab() as gitlab:
        one = uploaded(gitlab, job, expired=bool(change.get("expired")))
        one = FakeJob(change["job"], "x") if "job" in change else one
        gitlab.private_token = change.get("token", gitlab.private_token)
        environment_token = "another" if "token" in change else gitlab.private_token
        url = f"{gitlab.url}/group/containers/-/jobs/{one.id}"
        done = jc(
            *("-C", str(tmp_path), "reproduce", url, "--out-dir", str(target)),
            environment={"GITLAB_API_TOKEN": environment_token},
        )
    assert (done.exit_code, words in done.output) == (code, True), done.output
    assert not list(target.glob("*.sh"))
