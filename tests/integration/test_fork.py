"""A fork makes the documented edits, and its tests pass: those of what is shipped, in a copy of this repository."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from job_creator import project_files
from job_creator.engines.gitlab import names
from tests.documentation import DOCS, blocks
from tests.guard import ONLY
from tests.programs import FOLDER
from tests.samples import FROZEN_SITE, REPOSITORY

CODE: Final = (
    "foundation",
    "job_creator",
    "get_artifacts",
    "spackitor",
    "tests",
    *project_files.BASE_IMAGES,
    project_files.IMAGE_FILES_FOLDER,
)
FILES: Final = ("pyproject.toml", project_files.DOCKERFILE_TEMPLATE)
PYTEST: Final = f"python -m pytest -q -p no:cacheprovider -p no:xdist --basetemp ../temporary {ONLY}"
IS_QUICK: Final = os.environ.get("HYPOTHESIS_PROFILE", "default") == "default"
DEFINITION: Final = "spack: {specs: [zlib-ng]}\n"


def fork(folder: Path) -> Path:
    """The code, with a site that has been shipped, under git."""
    for name in CODE:
        shutil.copytree(REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy(REPOSITORY / name, folder / name)
    shutil.copytree(FROZEN_SITE, folder, dirs_exist_ok=True)
    for path in (folder / project_files.SITE_FILE, *(folder / project_files.DEFINITIONS_FOLDER).rglob("*.yaml")):
        path.write_text(path.read_text().replace("$schema=../../../", "$schema="))
    run(folder, "git init --quiet && git add --all && jc render-ci")
    return folder


def run(folder: Path, script: str) -> str:
    """A script as somebody types it in the repository. Returns what it prints."""
    environment = {**os.environ, "PATH": f"{FOLDER}:{os.environ['PATH']}", "PYTHONPATH": str(folder)}
    done = subprocess.run(
        ["bash", "-euc", script], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def follow_the_guide(root: Path) -> None:
    """The first section of its page, letter for letter."""
    page = blocks(DOCS / "set-up-a-fork.md")
    settings = next(one.text for one in page if one.language == "yaml")
    commands = next(one for one in page if one.is_shell)
    site = root / project_files.SITE_FILE
    key = settings.partition(":")[0]
    text, replaced = re.subn(rf"^{key}:\n(?:[ \n].*\n?)*", settings + "\n", site.read_text(), flags=re.MULTILINE)
    assert replaced == 1
    site.write_text(text)
    run(root, commands.text)


def add_a_container(root: Path) -> None:
    (root / project_files.DEFINITIONS_FOLDER / "amd64" / "mine.yaml").write_text(DEFINITION)


def remove_an_architecture(root: Path) -> None:
    shutil.rmtree(root / project_files.DEFINITIONS_FOLDER / "arm64")
    run(root, "jc render-ci")


def rename_all(root: Path) -> None:
    for path in (root / project_files.DEFINITIONS_FOLDER).glob("*/*"):
        path.rename(path.with_name(f"our-{path.name}"))


def write_our_own(root: Path) -> None:
    """Nothing that was shipped is left, and base images are others."""
    shutil.rmtree(root / project_files.DEFINITIONS_FOLDER)
    (root / project_files.DEFINITIONS_FOLDER / "amd64").mkdir(parents=True)
    add_a_container(root)
    shutil.rmtree(root / "spacktainer" / "files")
    (root / "builder" / "requirements.in").unlink()
    (root / "runtime" / "Dockerfile").write_text("ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nUSER 1000\n")
    run(root, "jc render-ci")


def follow_the_guide_and_go_on(root: Path) -> None:
    """Add to what the guide leaves, under names of one's own."""
    follow_the_guide(root)
    add_a_container(root)
    rename_all(root)


ONE_BY_ONE: Final = (follow_the_guide, add_a_container, remove_an_architecture, rename_all, write_our_own)
AT_ONCE: Final = (follow_the_guide_and_go_on, write_our_own)
"""The same edits in fewer runs of the suite, for who waits for it; CI makes them one by one."""


@pytest.mark.parametrize("edit", AT_ONCE if IS_QUICK else ONE_BY_ONE)
def test_what_a_fork_may_change_fails_no_test(tmp_path: Path, edit: Callable[[Path], None]) -> None:
    root = fork(tmp_path / "fork")
    edit(root)
    # A rehearsal takes seconds, and sees no more in one of them than in another.
    but = "" if edit in (follow_the_guide, follow_the_guide_and_go_on) else "-k 'not rehearsed'"
    assert " passed" in run(root, f"{PYTEST} {but}")


def test_what_is_wrong_or_out_of_step_does_fail_one(tmp_path: Path) -> None:
    root = fork(tmp_path / "fork")
    remove_an_architecture(root)
    add_a_container(root)
    (root / names.PARENT_PIPELINE).write_text("a: {script: b}\n")
    with pytest.raises(AssertionError, match="test_the_committed_parent_pipeline_is_in_step"):
        run(root, f"{PYTEST} -k in_step")
