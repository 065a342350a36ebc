"""The habits of the house, where a test can see them."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.samples import REPOSITORY

SOURCES = sorted((REPOSITORY / "spackitor").rglob("*.py"))
LAYERS = (
    {"selection"},
    {"quarantine", "roots", "repositories"},
    {"inventory", "source_inventory"},
    {"layouts", "policy", "contents"},
    {"plan", "remembered"},
    {"source_plan", "survey"},
    {"apply", "check"},
    {"binaries", "sources"},
    {"recovery", "commands"},
    {"report"},
    {"cli"},
    {"__main__"},
)
"""Imports point one way: a module imports only from its own layer and those before it."""
PURE = {"selection", "quarantine", "roots", "inventory", "layouts", "policy", "contents", "plan"}
PURE |= {"source_inventory", "source_plan"}
SHARED = {
    "adapters",
    "build_cache",
    "mirrors",
    "store",
    "command_line",
    "errors",
    "lockfile",
    "tables",
    "__version__",
}
"""What of `job_creator` may be used here."""


def module_of(path: Path) -> str:
    return path.relative_to(REPOSITORY / "spackitor").parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return names


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_imports_point_one_way(path: Path) -> None:
    level = {name: index for index, layer in enumerate(LAYERS) for name in layer}
    own = module_of(path)
    if own == "__init__":
        return
    for name in imported(path):
        parts = name.split(".")
        if parts[0] == "spackitor":
            assert level[parts[1]] <= level[own], f"{own} imports {parts[1]}"
        assert parts[0] != "get_artifacts"
        assert parts[0] != "job_creator" or parts[1] in SHARED, name


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_values_and_plans_touch_neither_files_nor_the_network(path: Path) -> None:
    if module_of(path) in PURE:
        roots = {name.partition(".")[0] for name in imported(path)}
        assert not roots & {"os", "pathlib", "subprocess", "socket", "requests", "boto3", "tempfile", "shutil"}


def test_only_the_command_line_reads_the_environment() -> None:
    readers = {module_of(path) for path in SOURCES if re.search(r"os\.environ|getenv", path.read_text())}
    assert readers == {"__main__"}


def test_modules_stay_small() -> None:
    assert all(len(path.read_text().splitlines()) <= 350 for path in SOURCES)


def test_importing_a_module_does_nothing(tmp_path: Path) -> None:
    names = [".".join(path.relative_to(REPOSITORY).with_suffix("").parts) for path in SOURCES]
    code = "import importlib, sys\n" + "\n".join(f"importlib.import_module({name!r})" for name in names)
    code += "\nassert 'boto3' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(tmp_path.iterdir()) == []
