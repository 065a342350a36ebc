"""`jc reproduce` of a package job, built by real Spacks: what no cache has is compiled, and all is built again."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from job_creator.builds import node_step
from job_creator.builds.node_step import read_records
from tests.commands import jc
from tests.fakes.gitlab import FakeGitLab
from tests.integration.real_spack import ROOTS, alone
from tests.integration.signing_keys import key_pair
from tests.integration.spied_job import INSTALL, SpiedJob
from tests.integration.tiny_spack import TinySpack

pytestmark = [
    pytest.mark.usefixtures("components"),
    pytest.mark.skipif(not ROOTS, reason="SPACKTAINERS_SPACK_ROOT names no Spack"),
]

PLAIN = {"checksum": "", "source": "", "dependencies": "", "spy": "", "attack": ""}


def states(results: Path) -> list[str]:
    path = results / node_step.OUTCOMES / node_step.RECORDS
    return [f"{one.package} {one.state}" for one in read_records(path.read_bytes(), str(path))]


@pytest.mark.parametrize("root", ROOTS)
def test_a_package_is_built_again_by_a_real_spack(root: str, tmp_path: Path) -> None:
    uses = 'depends_on("tiny-{}", type=("build", "link"))'
    bodies = {
        "tiny-lib": INSTALL.format(**PLAIN),
        "tiny-spied": INSTALL.format(**{**PLAIN, "dependencies": uses.format("lib")}),
        "tiny-last": INSTALL.format(**{**PLAIN, "dependencies": uses.format("spied")}),
    }
    job = SpiedJob(tmp_path, TinySpack.made(root, tmp_path, bodies))
    job.prepare(key_pair())
    left = job.artifacts
    (left / "pipeline.yml").write_text("variables: {COLOUR: blue}\n")
    lock = json.loads((left / "concrete_environment" / "spack.lock").read_bytes())
    hash_ = next(key for key, node in lock["concrete_specs"].items() if node["name"] == "tiny-last")
    commit = committed(job)
    with FakeGitLab() as gitlab:
        pipeline = gitlab.project("group/containers").pipeline(source="parent_pipeline")
        pipeline.commit = commit
        files = {path.relative_to(job.checkout).as_posix(): path for path in left.rglob("*") if path.is_file()}
        pipeline.job("env spied", {name: path.read_bytes() for name, path in files.items()})
        # Its runner was lost: nothing but the name says what it was to build.
        lost = pipeline.job(f"tiny-last@1.0 /{hash_}", status="failed")
        words = ["-C", str(tmp_path / "repository"), "reproduce", f"{gitlab.url}/group/containers/-/jobs/{lost.id}"]
        made = jc(*words, "--out-dir", str(tmp_path / "again"), environment={"GITLAB_API_TOKEN": gitlab.private_token})
    assert made.exit_code == 0, made.output
    command = ["sh", str(tmp_path / "again" / "reproduce.sh"), "here"]
    variables = {**alone(tmp_path), "SPACK_ROOT": root}
    plain = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    # As in the job: nothing that it needs is in a cache.
    assert states(tmp_path / "again" / "results") == ["tiny-last skipped"], plain.stderr
    for _ in range(2):
        whole = subprocess.run(
            command, env={**variables, "DEPENDENCIES": "build"}, capture_output=True, text=True, check=False
        )
        assert states(tmp_path / "again" / "results") == ["tiny-last built"], whole.stdout + whole.stderr
        assert whole.returncode == 0
    # Spack has its own keys, and so signs or not; that the package is there counts.
    packages = [path.name for path in (tmp_path / "again" / "results" / "packages").rglob("*") if hash_ in path.name]
    assert packages
    assert not list((tmp_path / "mirror").rglob("*tiny-last*"))


def committed(job: SpiedJob) -> str:
    """The repository of the project, with the recipes that the environment takes from its checkout; its commit."""
    repository = job.folder / "repository"
    git = ["git", "-C", str(repository), "-c", "user.name=n", "-c", "user.email=n@example.org"]
    (repository / "recipes").parent.mkdir()
    subprocess.run(["cp", "-R", str(job.checkout / "recipes"), str(repository)], check=True)
    for words in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "-m", "recipes"]):
        subprocess.run([*git, *words], check=True)
    return subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
