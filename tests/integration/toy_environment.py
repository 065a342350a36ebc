"""Environments of the toy packages in a real Spack of any line."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from foundation.spack.releases import SpackLine
from foundation.yaml_io import dump
from job_creator.environments.merged import merged_environment
from job_creator.environments.mirror_names import DESTINATION
from job_creator.environments.setting import Setting
from job_creator.site.site import Site
from tests.samples import REPOSITORY, SITE, site

TOY_PACKAGES = REPOSITORY / "tests" / "data" / "toy_repo" / "spack_repo" / "toy"


def line_of(root: str) -> SpackLine:
    """The release line of a Spack."""
    shown = subprocess.run([f"{root}/bin/spack", "--version"], check=True, capture_output=True, text=True).stdout
    found = re.match(r"\d+\.\d+", shown)
    assert found, shown
    return SpackLine.parse(found[0])


def compiler() -> str:
    """The compiler of this machine, as a site file names it."""
    shown = subprocess.run(["gcc", "-dumpversion"], check=True, capture_output=True, text=True).stdout
    return f"gcc@{shown.strip().partition('.')[0]}"


def site_for(line: SpackLine, *, more: str = "") -> Site:
    """The sample site, building with this line and this machine's compiler.

    `more` are lines of its architecture `amd64`.
    """
    text = SITE.replace("    target: x86_64_v3\n", f"    target: x86_64_v3\n{more}").replace("gcc@13", compiler())
    text = text.replace("v1.1.0", f"v{line}.0")
    if not line.compilers_are_dependencies:
        text = re.sub(r"  packages: \{repository: .*\n", "", text)
    return site(text)


def setting_of(found: Site, line: SpackLine) -> Setting:
    """The default branch of a site."""
    return Setting(
        architecture=found.architectures["amd64"],
        line=line,
        builder="registry.example.org/builder:1-amd64",
        is_default_branch=True,
        is_merge_request=False,
        signing_key_variable="PRIVATE",
        public_key_variable="PUBLIC",
    )


def recipes_for(line: SpackLine, folder: Path) -> Path:
    """The toy packages as this line looks for them."""
    target = folder / "spack_repo" / "toy"
    shutil.copytree(TOY_PACKAGES, target)
    if not line.compilers_are_dependencies:
        (target / "repo.yaml").write_text("repo:\n  namespace: toy\n")
        for package in (target / "packages").iterdir():
            package.rename(package.with_name(package.name.replace("_", "-")))
    return target


def environment_folder(where: Setting, definition: dict[str, Any], folder: Path) -> Path:
    """A folder with the merged environment of a definition, whose build cache is below it."""
    made: Any = merged_environment(where, {"concretizer": {"reuse": False}}, definition)
    section = made["spack"]
    section["mirrors"] = {DESTINATION: f"file://{folder}/mirror"}
    recipes = str(recipes_for(where.line, folder))
    section["repos"] = {"toy": recipes} if where.line.compilers_are_dependencies else [recipes]
    target = folder / "environment"
    target.mkdir()
    (target / "spack.yaml").write_text(dump(made))
    return target


def generate(root: str, environment: Path, output: Path) -> None:
    """Let Spack write the pipeline of an environment, as `read_folder` looks for it."""
    folder = output / "toys"
    folder.mkdir(parents=True)
    done = subprocess.run(
        [
            f"{root}/bin/spack",
            *("-e", str(environment), "ci", "generate", "--output-file", str(folder / "pipeline.yml")),
            *("--artifacts-root", str(folder)),
        ],
        env={**os.environ, "CI_PROJECT_DIR": str(output), "CI_JOB_NAME": "concretize", "CI_PIPELINE_ID": "4711"},
        cwd=output,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
