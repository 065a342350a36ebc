"""What a repository may leave out, because it comes with `jc`."""

from __future__ import annotations

import json
import shutil
import tomllib
from pathlib import Path

import pytest

from foundation.doors.files import list_files
from foundation.errors import ExitCode
from foundation.yaml_io import load
from job_creator.engines.gitlab import names
from job_creator.engines.gitlab.objects import expand
from job_creator.project_files import BASE_IMAGES, DEFAULTS_FOLDER, IMAGE_FILES_FOLDER, PARTS_WITH_DEFAULTS
from job_creator.repository import default, missing, part
from tests.commands import jc
from tests.locks import write_environment
from tests.samples import REPOSITORY, SITE

NOT_CHECKED = (
    "not checked: names of packages and variants: there is no package index of v2025.11.0; "
    "'jc index packages' makes one"
)


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A repository that has a site and one container, and nothing else."""
    root = tmp_path / "bare"
    definition = root / "container_definitions" / "amd64" / "hdf5.yaml"
    definition.parent.mkdir(parents=True)
    definition.write_text("spack: {specs: [hdf5]}\n")
    (root / "spacktainers.yaml").write_text(SITE)
    return root


@pytest.fixture
def whole(bare: Path, tmp_path: Path) -> Path:
    """The same with a copy of everything that it could leave out."""
    root = tmp_path / "whole"
    shutil.copytree(bare, root)
    for name in PARTS_WITH_DEFAULTS:
        (root / name).parent.mkdir(exist_ok=True)
        source = default(name).path
        (shutil.copytree if source.is_dir() else shutil.copy)(source, root / name)
    return root


def written(root: Path, out: Path) -> Path:
    result = jc("-C", str(root), "create-jobs", "--offline", "-o", str(out / "pipeline.yaml"))
    assert result.exit_code == ExitCode.OK, result.output
    return out


def jobs(out: Path) -> dict[str, dict[str, object]]:
    return {
        name: job
        for name, job in expand(load((out / "pipeline.yaml").read_bytes(), "p")).items()
        if any(name == names.build_image_job(image, "amd64") for image in BASE_IMAGES)
    }


def test_a_site_and_a_container_are_a_repository(bare: Path) -> None:
    result = jc("-C", str(bare), "check")
    assert result.exit_code == ExitCode.OK, result.output
    assert result.stdout.splitlines() == [
        "all valid: 1 containers for amd64",
        f"not in this repository, so those of jc are used: {', '.join(PARTS_WITH_DEFAULTS)}",
        NOT_CHECKED,
    ]
    for command in ("plan", "create-jobs"):
        options = ["-o", str(bare / "out" / "p.yaml")] if command == "create-jobs" else []
        assert jc("-C", str(bare), command, "--offline", *options).exit_code == ExitCode.OK
    assert jc("-C", str(bare), "rehearse").exit_code == ExitCode.OK


def test_jobs_find_what_the_repository_left_out(bare: Path, tmp_path: Path) -> None:
    out = written(bare, tmp_path / "out")
    parent = {"job": "generate base pipeline", "pipeline": "$PARENT_PIPELINE_ID", "artifacts": True}
    assert len(jobs(out)) == len(BASE_IMAGES)
    for job in jobs(out).values():
        variables = job["variables"]
        assert isinstance(variables, dict)
        folder = variables["FOLDER"]
        assert job["needs"] == [parent]
        assert list_files(out / folder) == list_files(default(Path(folder).name).path)
    jc("-C", str(bare), "render-ci")
    parent_jobs = load((bare / ".gitlab-ci.yml").read_bytes(), "p")
    assert f"{DEFAULTS_FOLDER}/" in parent_jobs["generate base pipeline"]["artifacts"]["paths"]


def test_a_copy_of_the_defaults_makes_the_same_images(bare: Path, whole: Path, tmp_path: Path) -> None:
    assert missing(whole) == ()
    assert jc("-C", str(whole), "check").stdout == f"all valid: 1 containers for amd64\n{NOT_CHECKED}\n"
    of_jc, own = written(bare, tmp_path / "out"), written(whole, tmp_path / "own")
    assert not (own / DEFAULTS_FOLDER).exists()
    for name, job in jobs(own).items():
        assert "needs" not in job or job["needs"] == []
        assert job["variables"] == {**job["variables"], "FOLDER": name.split()[1]}  # type: ignore[dict-item]
        assert job["script"] == jobs(of_jc)[name]["script"]
    jc("-C", str(whole), "render-ci")
    assert DEFAULTS_FOLDER not in (whole / ".gitlab-ci.yml").read_text()


def test_what_the_repository_has_wins_as_a_whole(bare: Path, tmp_path: Path) -> None:
    (bare / "builder").mkdir()
    (bare / "builder" / "Dockerfile").write_text("ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\n")
    assert set(part(bare, "builder").files()) == {"Dockerfile"}
    assert missing(bare) == tuple(name for name in PARTS_WITH_DEFAULTS if name != "builder")
    before = jobs(written(bare, tmp_path / "out"))["build builder for amd64"]
    assert (before["variables"]["FOLDER"], before.get("needs", [])) == ("builder", [])  # type: ignore[index]
    assert not (tmp_path / "out" / DEFAULTS_FOLDER / "builder").exists()
    (bare / "builder" / "Dockerfile").write_text("ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nUSER 1\n")
    after = jobs(written(bare, tmp_path / "later"))["build builder for amd64"]
    assert before["variables"] != after["variables"]


@pytest.mark.parametrize("image", BASE_IMAGES)
def test_a_folder_without_dockerfile_is_a_fault_for_every_command(bare: Path, image: str) -> None:
    (bare / image).mkdir()
    (bare / image / "notes").touch()
    for command in ("check", "plan", "create-jobs"):
        result = jc("-C", str(bare), command, *([] if command == "check" else ["--offline"]))
        assert result.exit_code == ExitCode.INVALID_INPUT
        assert f"{image}:1:1: the folder of a base image has no Dockerfile; add it" in result.stderr
    (fault,) = json.loads(jc("-C", str(bare), "check", "--format", "json").stdout)
    assert fault["path"] == image


@pytest.mark.parametrize("name", [*BASE_IMAGES, IMAGE_FILES_FOLDER])
def test_what_goes_into_images_is_no_link_to_something_else(bare: Path, name: str) -> None:
    (bare / ".git").mkdir(exist_ok=True)
    (bare / ".git" / "Dockerfile").write_text("FROM x\n")
    (bare / name).parent.mkdir(exist_ok=True)
    (bare / name).symlink_to(bare / ".git")
    result = jc("-C", str(bare), "check")
    assert result.exit_code == ExitCode.INVALID_INPUT
    assert f"{name}:1:1: " in result.stderr


def test_no_link_in_the_folder_of_a_base_image_leads_out_of_it(bare: Path) -> None:
    (bare / ".git").mkdir(exist_ok=True)
    (bare / ".git" / "config").write_text("token")
    (bare / "builder" / "inner").mkdir(parents=True)
    (bare / "builder" / "Dockerfile").write_text("FROM x\nCOPY . /x\n")
    (bare / "builder" / "inner" / "link").symlink_to("../../.git/config")
    result = jc("-C", str(bare), "check")
    assert result.exit_code == ExitCode.INVALID_INPUT
    assert "builder/inner/link:1:1: leads to ../../.git/config, which is not copied with it" in result.stderr


def test_containers_are_made_with_the_files_of_jc(bare: Path, whole: Path, tmp_path: Path) -> None:
    dockerfiles, labels = [], []
    environments = tmp_path / "jobs_scratch_dir.amd64"
    write_environment(environments / "hdf5")
    for root in (bare, whole):
        out = tmp_path / f"of {root.name}" / "spacktainer.artifacts.amd64"
        arguments = ("--architecture", "amd64", "--out-dir", str(out), "--environments", str(environments), "--offline")
        assert jc("-C", str(root), "generate-spacktainer-workflow", *arguments).exit_code == ExitCode.OK
        dockerfiles.append((out / "hdf5" / "Dockerfile").read_text())
        labels.append((out / "hdf5" / "labels").read_bytes())
        if root is bare:
            assert list_files(out / "_image") == list_files(default("spacktainer/image").path)
        else:
            assert not (out / "_image").exists()
    assert dockerfiles[0].replace("spacktainer.artifacts.amd64/_image/", "spacktainer/image/") == dockerfiles[1]
    assert 'COPY ["spacktainer.artifacts.amd64/_image/", ' in dockerfiles[0]
    assert labels[0] == labels[1]


def test_what_python_leaves_beside_its_sources_counts_for_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("")
    before = list_files(tmp_path)
    (tmp_path / "inner" / "__pycache__").mkdir(parents=True)
    (tmp_path / "inner" / "__pycache__" / "a.cpython-311.pyc").touch()
    assert list_files(tmp_path) == before


def test_the_distribution_carries_all_of_it() -> None:
    settings = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert settings["force-include"] == {name: f"job_creator/defaults/{name}" for name in PARTS_WITH_DEFAULTS}
    for name in PARTS_WITH_DEFAULTS:
        assert default(name).path == REPOSITORY / name
        assert default(name).path.exists()
