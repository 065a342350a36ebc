"""Allocations of a private Slurm: the scripts of `jc cluster scripts`, submitted by `jc build --launch`."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.build_project import FAKE, BuildProject
from tests.build_runs import EIGHT
from tests.commands import jc
from tests.integration.apptainer import apptainer_for
from tests.integration.base_images import debian_root, shared_folder, unpacked_root
from tests.integration.slurm import PrivateSlurm, private_slurm
from tests.samples import REPOSITORY

pytestmark = pytest.mark.xdist_group("slurm")


@pytest.fixture(scope="module", name="slurm")
def slurm_fixture(components: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateSlurm]:
    with private_slurm(tmp_path_factory.mktemp("slurm")) as slurm:
        yield slurm


def waited_for(is_so: Callable[[], bool], seconds: float = 300.0) -> None:
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.2)


def launched(project: BuildProject, slurm: PrivateSlurm, *words: str, **variables: str) -> str:
    """Launch a build and wait until its allocation has ended; what that said."""
    done = subprocess.run(
        project.command("--launch", "slurm", *words),
        env=project.variables(**variables),
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("asked slurm for ")
    waited_for(lambda: slurm.run("squeue", "--noheader", "--states=PENDING,RUNNING,COMPLETING") == "")
    return "\n".join(path.read_text() for path in sorted((project.folder / "run" / "scripts").glob("*.log")))


def test_one_node_builds_all_and_is_told_of_no_secret(slurm: PrivateSlurm, tmp_path: Path) -> None:
    project = BuildProject.made(tmp_path, environment=slurm.environment)
    said = launched(project, slurm, "-N", "1", "--submit-option=--comment=mine", AWS_SECRET_ACCESS_KEY="a-secret-key")
    assert "8 built" in said
    assert project.present() == set(EIGHT)
    assert {tuple(call["leaked"]) for call in project.calls("build")} == {()}
    status = json.loads(jc("build", "status", str(project.folder / "run"), "--json").stdout)
    assert (status["complete"], {one["engine"] for one in status["packages"]}) == (True, {"local"})
    scripts = (project.folder / "run" / "scripts").iterdir()
    assert not [path for path in scripts if "a-secret-key" in path.read_text()]
    assert "#SBATCH --comment=mine\n" in (project.folder / "run" / "scripts" / "allocation.sh").read_text()


def test_a_node_builds_in_a_container(
    slurm: PrivateSlurm, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Nothing of the machine is seen in there but what the run needs; so the stand-in for Spack comes along."""
    apptainer = apptainer_for(tmp_path)
    image = unpacked_root(debian_root(shared_folder(tmp_path_factory)), tmp_path / "image")
    path = f"{apptainer.program.parent}:{os.environ['PATH']}"
    project = BuildProject.made(tmp_path / "project", environment={**slurm.environment, "PATH": path})
    inside = shutil.copy(FAKE, project.folder)
    project.spack.write_text(f'#!/bin/sh\nexec python3 -SE {inside} {project.notes} "$@"\n')
    (image / "etc" / "release-of-the-image").touch()
    project.tell("look-for", "/etc/release-of-the-image")
    said = launched(project, slurm, "--container", str(image), "-j", "1", "--only", "g4")
    assert "3 built" in said
    assert {call["found"] for call in project.calls("build")} == {True}


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray is not installed; 'make ray' does it")
def test_all_nodes_of_an_allocation_build_with_ray(slurm: PrivateSlurm, tmp_path: Path) -> None:
    project = BuildProject.made(tmp_path, environment=slurm.environment)
    for name in ("g2", "g3"):
        project.tell(f"slow-{name}", "30")  # longer than the second node takes to start
    said = launched(project, slurm, "-N", "2", "-j", "2")
    assert "8 built" in said, said
    status = json.loads(jc("build", "status", str(project.folder / "run"), "--json").stdout)
    assert {one["engine"] for one in status["packages"]} == {"ray"}
    logs = "".join(path.read_text() for path in (project.folder / "run" / "steps").glob("*/1/log.txt"))
    assert len({line for line in logs.splitlines() if line.startswith("on the node ")}) == 2
