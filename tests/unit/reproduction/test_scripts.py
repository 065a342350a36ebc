"""The folders that repeat a build, and their scripts: valid shell, no secret in a list of processes, no half."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from foundation.errors import DamagedError, InvalidInputError
from foundation.spack.lockfile import read_lockfile
from foundation.yaml_io import dump, parse
from job_creator.builds import node_step
from job_creator.reproduction.container_build import FoundContainer, container_folder
from job_creator.reproduction.container_job import container_of
from job_creator.reproduction.gitlab_jobs import JobAddress, RanJob, unpacked
from job_creator.reproduction.package_job import FoundJob, MadeWith, Reproduction, package_folder
from job_creator.site.spack import GitSource, Spack
from job_creator.site.tools import Buildah
from tests.fakes.gitlab import zip_of
from tests.locks import lockfile
from tests.pipeline_checks import shellcheck

LOCK = lockfile([("app@1.2", "app", "1.2.3")])
HASH = read_lockfile(LOCK, "spack.lock").roots[0]
SECRET = "value-that-no-list-of-processes-may-show"
RUN = f'spack python "${{SPACK_ARTIFACTS_ROOT:?}}/steps/{node_step.PROGRAM}" --apart --see COLOUR,LEVEL --read A=B,C'
ENVIRONMENT = {
    "specs": ["app@1.2"],
    "view": "/opt/view",
    "ci": {"pipeline-gen": []},
    "env_vars": {"set": {"X": "y"}},
    "repos": {"own": "$CI_PROJECT_DIR/recipes/own"},
    "config:": {"install_tree": {"root": "/opt/software", "padded_length": 128}, "build_jobs": 4},
    "mirrors:": {"buildcache-destination": {"url": "s3://cache"}, "other": "https://cache.example.org"},
}
JOB = FoundJob(
    name=f"app@1.2.3 /{HASH}",
    url="https://gitlab.example.org/group/containers/-/jobs/7",
    commit="c" * 40,
    packages=(HASH[:7],),
    environment="tools",
    folder={
        "concrete_environment/spack.lock": LOCK,
        "concrete_environment/spack.yaml": dump({"spack": ENVIRONMENT}).encode(),
        "pipeline.yml": dump(
            {
                "variables": {"COLOUR": "blue", "CI_THING": "no", "SPACK_THING": "no"},
                "app": {
                    "image": {"name": "builder:1"},
                    "script": ["true", RUN],
                    "variables": {"SPACK_JOB_SPEC_DAG_HASH": HASH, "SHADE": "dark"},
                },
            }
        ).encode(),
        **{f"steps/{name}": b"" for name in (node_step.PROGRAM, *node_step.BESIDE)},
    },
    made_with=MadeWith("builder@sha256:1", "a" * 40, "b" * 40),
)
SPACK = Spack(ref="v1.1.0", packages=GitSource(repository="https://git.example.org/packages.git", ref="v2025.11.0"))
FOLDER = "spacktainer.artifacts.amd64/app"
CONTAINER = FoundContainer(
    name="app",
    source="app.sif",
    commit="c" * 40,
    platform="amd64",
    folder=FOLDER,
    files={
        f"{FOLDER}/Dockerfile": b"FROM scratch\n",
        f"{FOLDER}/labels": b'a=it\'s "so"\nb=$HOME\n',
        f"{FOLDER}/images": b"registry.example.org/runtime@sha256:1\n",
        f"{FOLDER}/secrets": b"KEY_ID\nKEY_SECRET\n",
        f"{FOLDER}/context": f"lock/spack.lock\n{FOLDER}/Dockerfile\nspacktainer/image\n{FOLDER}/_image\n".encode(),
        f"{FOLDER}/_image/install.sh": b"",
        "lock/spack.lock": LOCK,
    },
    has_tests=True,
    buildah=Buildah(),
    config_digest=f"sha256:{'d' * 64}",
    layers=("sha256:1", "sha256:2"),
)


def made(job: FoundJob = JOB) -> Reproduction:
    return package_folder(job, SPACK, "PUBLIC_KEY")


def test_the_environment_is_that_of_the_job_but_for_where_it_reads_and_writes() -> None:
    found = made()
    written = parse(found.files["environment/spack.yaml.in"], "spack.yaml").value["spack"]
    assert written["mirrors"] == {
        "buildcache-destination": "file://@RESULTS@/packages",
        "buildcache-of-the-job": {"url": "s3://cache"},
        "other": "https://cache.example.org",
    }
    assert written["config"] == {"build_jobs": 4, "install_tree": {"root": "@INSTALL@", "padded_length": 128}}
    assert written["repos"] == {"own": "@HERE@/recipes/recipes/own"}
    assert (written["view"], "ci" in written, written["env_vars"]) == (False, False, {"set": {"X": "y"}})
    assert found.files["environment/spack.lock"] == LOCK
    assert found.recipes == ("recipes/own",)


def test_variables_have_the_values_that_the_pipeline_states() -> None:
    text = made().files["variables.sh"].decode()
    assert "COLOUR=blue" in text
    assert "SHADE=dark" in text
    assert "THING" not in text
    assert '[ -z "${B:-}" ] || export A="$B"' in text
    assert made().unknown == ("the values of LEVEL, if they were set in the job",)


@pytest.mark.parametrize("spack", [SPACK, None])
def test_scripts_of_packages_pass_shellcheck(spack: Spack | None) -> None:
    assert shellcheck(package_folder(JOB, spack, "PUBLIC_KEY").files["reproduce.sh"].decode()) == ""


@pytest.mark.parametrize("container", [CONTAINER, replace(CONTAINER, config_digest="", has_tests=False)])
def test_scripts_of_containers_pass_shellcheck(container: FoundContainer) -> None:
    assert shellcheck(container_folder(container)["reproduce.sh"].decode()) == ""


@pytest.mark.parametrize("program", ["podman", "docker", "buildah"])
def test_programs_of_containers_see_names_of_variables_alone(tmp_path: Path, program: str) -> None:
    for name, content in made().files.items():
        (tmp_path / "folder" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "folder" / name).write_bytes(content)
    (tmp_path / "bin").mkdir()
    stand_in = tmp_path / "bin" / program
    stand_in.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n[ "$1" != from ] || echo a-container\n')
    stand_in.chmod(0o755)
    environment = {"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin", "B": SECRET, "COLOUR": "red"}
    command = ["sh", str(tmp_path / "folder" / "reproduce.sh")]
    subprocess.run(command, env=environment, check=True)
    asked = (tmp_path / "asked").read_text()
    assert "builder@sha256:1" in asked
    assert "/reproduce/reproduce.sh inside" in asked
    assert "--env B " in asked
    assert SECRET not in asked
    assert ("rm a-container" in asked) == (program == "buildah")


def test_what_builds_see_is_complete_and_the_rest_comes_from_the_commit() -> None:
    files = container_folder(CONTAINER)
    inside = {name for name in files if name.startswith("context/")}
    assert inside == {f"context/{FOLDER}/Dockerfile", f"context/{FOLDER}/_image/install.sh", "context/lock/spack.lock"}
    assert CONTAINER.from_checkout == ("spacktainer/image",)
    assert json.loads(files["made_from.json"])["images"] == ["registry.example.org/runtime@sha256:1"]


def test_what_is_missing_or_strange_is_named() -> None:
    without = {name: content for name, content in JOB.folder.items() if name != f"steps/{node_step.PROGRAM}"}
    with pytest.raises(InvalidInputError, match=node_step.PROGRAM):
        made(replace(JOB, folder=without))
    with pytest.raises(InvalidInputError, match="has 0 packages that begin with 'zzz'"):
        made(replace(JOB, packages=("zzz",)))
    with pytest.raises(InvalidInputError, match="images"):
        container_folder(replace(CONTAINER, files={f"{FOLDER}/context": b""}))
    with pytest.raises(InvalidInputError):
        MadeWith.read(b"[]", "made_with.json")


@pytest.mark.parametrize("word", ["--upload-pack=evil", "-x"])
def test_nothing_that_a_job_left_becomes_an_option(word: str) -> None:
    for made_with in (MadeWith(image=word), MadeWith(spack_commit=word), MadeWith(recipes_commit=word)):
        with pytest.raises(InvalidInputError, match="where an image or a commit is expected"):
            made(replace(JOB, made_with=made_with))


@pytest.mark.parametrize("options", ["--see 'A,$(evil)'", "--read 'A=x};evil'", "--read '$(evil)=B'", "--see A-B"])
def test_only_names_of_variables_are_taken_for_such(options: str) -> None:
    job = {"script": [f"spack python {node_step.PROGRAM} {options}"], "variables": {"SPACK_JOB_SPEC_DAG_HASH": HASH}}
    folder = {**JOB.folder, "pipeline.yml": dump({"app": job}).encode()}
    with pytest.raises(InvalidInputError, match="where the name of a variable is expected"):
        made(replace(JOB, folder=folder))
    with pytest.raises(InvalidInputError, match="where the name of a variable is expected"):
        container_folder(replace(CONTAINER, files={**CONTAINER.files, f"{FOLDER}/secrets": b"KEY_ID\n$(evil)\n"}))


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("build hdf5-stack container for amd64", ("hdf5-stack", "amd64")),
        ("build $(evil) container for amd64", None),
        ("build ../x container for amd64", None),
        ("build x container for a/b", None),
        ("build builder for amd64", None),
    ],
)
def test_jobs_of_containers(name: str, found: tuple[str, str] | None) -> None:
    assert container_of(RanJob(1, name, 2, "c" * 40, has_archive=True)) == found


def test_archives_are_read_and_never_unpacked() -> None:
    assert unpacked(zip_of({"../../etc/passwd": b"x", "a/b": b""}), "job") == {"../../etc/passwd": b"x", "a/b": b""}
    for content in (b"", b"PK", zip_of({"a": b"b" * 1000})[:-40]):
        with pytest.raises(DamagedError):
            unpacked(content, "job")


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("https://gitlab.example.org/a/b/-/jobs/12", JobAddress("https://gitlab.example.org", "a/b", 12)),
        ("http://localhost:8080/a/b/c/-/jobs/12/", JobAddress("http://localhost:8080", "a/b/c", 12)),
        ("https://user:password@gitlab.example.org/a/b/-/jobs/12", None),
        ("https://gitlab.example.org/a/b/-/pipelines/12", None),
        ("https://gitlab.example.org/a/b/-/jobs/12?x=1", None),
        ("s3://a/b/c/-/jobs/1", None),
    ],
)
def test_addresses_of_jobs(url: str, found: JobAddress | None) -> None:
    if found:
        assert JobAddress.parse(url) == found
    else:
        with pytest.raises(ValueError, match="is no address of a job"):
            JobAddress.parse(url)
