"""The habits of the house, in this package."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from foundation.gitlab import API_TOKEN_VARIABLE, MAX_ARTIFACT_BYTES
from job_creator.site.gitlab import GitLab
from tests.documentation import SOURCES as ALL_SOURCES
from tests.samples import REPOSITORY

SOURCES = sorted((REPOSITORY / "get_artifacts").glob("*.py"))
PURE = ("choose", "family")


def imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


@pytest.mark.parametrize("name", PURE)
def test_values_and_choices_touch_nothing(name: str) -> None:
    outside = {"os", "pathlib", "requests", "gitlab", "socket", "subprocess", "shutil", "time"}
    assert not imported(REPOSITORY / "get_artifacts" / f"{name}.py") & outside


def test_only_the_command_line_reads_the_environment() -> None:
    readers = [path.stem for path in SOURCES if re.search(r"environ|getenv", path.read_text())]
    assert set(readers) <= {"__main__", "session"}
    assert "os" not in imported(REPOSITORY / "get_artifacts" / "session.py")


def test_names_of_jobs_are_spelled_in_one_place() -> None:
    """D104: a rename elsewhere broke the downloader silently."""
    for path in SOURCES:
        assert not re.search(r"process spack pipeline|generate spacktainer|base containers and", path.read_text()), path


def test_importing_a_module_does_nothing(tmp_path: Path) -> None:
    modules = [f"get_artifacts.{path.stem}" for path in SOURCES if path.stem not in ("__main__", "__init__")]
    code = "import importlib\n" + "\n".join(f"importlib.import_module({name!r})" for name in modules)
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(tmp_path.iterdir()) == []


def test_the_defaults_are_those_of_the_site_file_and_spelt_once() -> None:
    assert GitLab().limits.max_artifact_bytes == MAX_ARTIFACT_BYTES
    assert GitLab().api_token_variable == API_TOKEN_VARIABLE
    spelt = re.compile(rf"{API_TOKEN_VARIABLE}|\b5 \* 1024 \* 1024|\b5 << 20")
    assert [path for path in ALL_SOURCES if spelt.search(path.read_text())] == [REPOSITORY / "foundation" / "gitlab.py"]
