"""`jc index packages`, with git repositories on this machine; the Spack in them has recipes in JSON."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from foundation.errors import ExitCode
from foundation.yaml_io import load
from job_creator import project_files
from job_creator.engines.gitlab.names import PACKAGE_NAMES
from tests.commands import jc
from tests.programs import program, write_program
from tests.samples import write_repository

SPACK = """\
import json, runpy, sys
from pathlib import Path

given = sys.argv[1:]
sys.path.insert(0, str(Path(__file__).parent.parent / "lib"))
import spack.repo

spack.repo.PATH.find(Path(given[given.index("-C") + 1]) / "repos.yaml")
sys.argv = given[given.index("python") + 1 :]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
REPO = """\
import json
from pathlib import Path
from types import SimpleNamespace


class Repositories:
    repos = []

    def find(self, file):
        self.repos = [Repository(json.loads(file.read_text())["repos:"]["builtin"])]


class Repository:
    namespace = "builtin"

    def __init__(self, root):
        self.root = root

    def all_package_names(self):
        return [path.stem for path in Path(self.root).glob("*.json")]

    def get_pkg_class(self, name):
        flags = json.loads((Path(self.root) / f"{name}.json").read_text())
        flag = SimpleNamespace(values=(True, False), multi=False)
        return SimpleNamespace(name=name, provided={}, variants={"": {name: flag for name in flags}})


PATH = Repositories()
"""
DEFINITION = "spack: {specs: ['hdf5 +mpi']}\n"


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A Spack and a package repository, both tagged."""
    spack, recipes = tmp_path / "spack", tmp_path / "recipes"
    write(spack, {"lib/spack/__init__.py": "spack_version = '1.1.0'\n", "lib/spack/repo.py": REPO})
    (spack / "bin").mkdir()
    write_program(spack / "bin" / "spack", SPACK)
    write(recipes, {f"repos/spack_repo/builtin/{name}.json": '["mpi"]' for name in ("hdf5", "zlib")})
    for folder, tag in ((spack, "v1.1.0"), (recipes, "v2025.11.0")):
        git(folder, "init", "--quiet", "-b", "develop")
        commit(folder)
        git(folder, "tag", tag)
    return tmp_path


def write(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def commit(folder: Path) -> None:
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "more")


def repository(sources: Path, ref: str = "v2025.11.0", definition: str = DEFINITION) -> Path:
    site = f"""\
spack:
  repository: file://{sources}/spack
  ref: v1.1.0
  packages: {{repository: "file://{sources}/recipes", ref: {ref}}}
architectures:
  amd64: {{runner_tags: [x], target: x86_64_v3, compiler: gcc@13, build_cache: {{bucket: cache-amd64}}}}
"""
    return write_repository(sources / "fork", {"container_definitions/amd64/hdf5.yaml": definition}, site)


def index(root: Path, *arguments: str) -> Any:
    done = jc("-C", str(root), "index", "packages", "--fetch", "--json", *arguments)
    assert done.exit_code == ExitCode.OK, done.output
    return json.loads(done.stdout)


def test_the_pinned_recipes_are_fetched_and_indexed_and_then_names_are_checked(sources: Path) -> None:
    root = repository(sources, definition="spack: {specs: ['hdf5 +mpu']}\n")
    assert "not checked: names" in jc("-C", str(root), "check").output
    made = index(root)
    assert made["commit"] == git(sources / "recipes", "rev-parse", "HEAD")
    assert made["refs"] == ["v2025.11.0"]
    assert made["packages"] == 2
    assert made["pinned"]
    checked = jc("-C", str(root), "check")
    assert checked.exit_code == ExitCode.INVALID_INPUT
    assert "hdf5 has no variant 'mpu'; did you mean 'mpi'?" in checked.output


def test_an_index_of_the_commit_is_kept_and_what_cannot_be_read_is_made_anew(sources: Path) -> None:
    root = repository(sources)
    made = index(root)
    # Without it nothing could be made.
    git(sources / "spack", "rm", "--quiet", "bin/spack")
    git(sources / "spack", "commit", "--quiet", "-m", "gone")
    git(sources / "spack", "tag", "--force", "v1.1.0")
    assert index(root) == made
    (root / project_files.PACKAGE_INDEX).write_text("{")
    done = jc("-C", str(root), "index", "packages", "--fetch")
    assert done.exit_code == ExitCode.NOT_READY


def test_a_branch_that_moved_is_indexed_again(sources: Path) -> None:
    root = repository(sources, "develop")
    first = index(root)
    write(sources / "recipes", {"repos/spack_repo/builtin/new.json": "[]"})
    commit(sources / "recipes")
    second = index(root)
    assert second["commit"] != first["commit"]
    assert (first["packages"], second["packages"]) == (2, 3)


def test_what_is_not_there_or_cannot_be_written_is_said(sources: Path, tmp_path: Path) -> None:
    gone = jc("-C", str(repository(sources, "v2025.12.0")), "index", "packages", "--fetch")
    assert gone.exit_code == ExitCode.NOT_THERE
    assert "no branch, tag or commit 'v2025.12.0'" in gone.output
    root = repository(sources)
    (tmp_path / "file").write_text("")
    place = str(tmp_path / "file" / "index.json")
    assert jc("-C", str(root), "index", "packages", "--fetch", "-o", place).exit_code == ExitCode.CANNOT_ACCESS_FILE
    no_spack = jc("-C", str(root), "index", "packages", "--spack", str(tmp_path / "no" / "spack"))
    assert no_spack.exit_code == ExitCode.NOT_READY
    assert jc("-C", str(root), "index", "packages", "--fetch", "--ref", "x").exit_code == ExitCode.USAGE


def test_recipes_of_another_commit_than_they_are_said_to_be_are_refused(sources: Path) -> None:
    root, recipes = repository(sources), sources / "recipes"
    scope = sources / "scope"
    write(scope, {"repos.yaml": json.dumps({"repos:": {"builtin": f"{recipes}/repos/spack_repo/builtin"}})})
    command = ["-C", str(root), "index", "packages", "--spack", f"{sources}/spack/bin/spack", "--scope", str(scope)]
    assert jc(*command, "--ref", "v2025.07.0").exit_code == ExitCode.REFUSED
    assert jc(*command, "--ref", "v2025.11.0").exit_code == ExitCode.OK
    write(recipes, {"repos/spack_repo/builtin/new.json": "[]"})
    assert jc(*command).exit_code == ExitCode.REFUSED


@pytest.mark.parametrize(("spec", "status"), [("hdf5 +mpi", ExitCode.OK), ("hdf5 +mpu", ExitCode.INVALID_INPUT)])
def test_the_job_makes_the_index_and_holds_names_against_it(
    sources: Path, spec: str, status: ExitCode, jc_on_path: dict[str, str]
) -> None:
    root = repository(sources, definition=f"spack: {{specs: ['{spec}']}}\n")
    jc("-C", str(root), "render-ci")
    job = load((root / ".gitlab-ci.yml").read_bytes(), "p")[PACKAGE_NAMES]
    script = "\n".join(job["script"])
    done = subprocess.run(["bash", "-c", script], cwd=root, env=jc_on_path, capture_output=True, text=True)
    assert done.returncode == status, done.stderr
    assert done.returncode not in job["allow_failure"]["exit_codes"]
    assert (root / project_files.CACHED_PACKAGE_INDEX).is_file()
    assert job["cache"]["paths"] == [".package_index/"]
    assert not (root / project_files.PACKAGE_INDEX).exists()


@pytest.fixture
def jc_on_path() -> dict[str, str]:
    return {**os.environ, "PATH": f"{Path(program('jc')).parent}:{os.environ['PATH']}"}
