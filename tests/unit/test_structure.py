"""The habits of the house, where a test can see them."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.samples import A_SITES_OWN, REPOSITORY

LAYERS = (
    {"errors", "names", "written_text", "yaml_io", "validation", "image_reference", "spack_line", "logging_config"},
    {
        "architectures",
        "site",
        "context",
        "definition_header",
        "definition_file",
        "definitions",
        "definitions_folder",
        "choice",
        "ci_objects",
        "decisions",
        "job_scripts",
        "publication",
        "retention",
    },
    {"limits", "spack_template", "schemas", "lockfile", "graph", "durations", "store"},
    {"build_cache"},
    {"mirrors"},
    {"containers"},
    {"running_pipelines"},
    {"simulate"},
    {"packages"},
    {"base_pipeline", "parent_pipeline"},
    {"adapters", "report", "command_line", "options", "tables"},
    {"commands", "package_pipelines", "publishing", "container_pipelines", "mirroring"},
    {"rehearsal"},
    {"container_cli"},
    {"__main__"},
)
"""Imports point one way: a module imports only from its own layer and those before it."""

SOURCES = sorted((REPOSITORY / "job_creator").rglob("*.py"))
PURE = set().union(*LAYERS[:9]) - {"definitions", "definitions_folder", "logging_config", "job_scripts"}


def module_of(path: Path) -> str:
    return path.relative_to(REPOSITORY / "job_creator").parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
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
        if parts[0] == "job_creator" and len(parts) > 1 and parts[1] in level:
            assert level[parts[1]] <= level[own], f"{own} imports {parts[1]}"
        assert parts[0] not in ("spackitor", "get_artifacts")


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_values_and_plans_touch_neither_files_nor_processes_nor_the_network(path: Path) -> None:
    if module_of(path) in PURE:
        assert not imported(path) & {"os", "subprocess", "socket", "requests", "pathlib", "shutil"}, path


def test_only_the_command_line_reads_the_environment() -> None:
    readers = {module_of(path) for path in SOURCES if re.search(r"os\.environ|getenv", path.read_text())}
    # Processes hand their own environment on to the programs that they start.
    assert readers <= {"__main__", "adapters"}


def test_importing_a_module_does_nothing(tmp_path: Path) -> None:
    """D121: a template was read and a log file opened when the package was imported."""
    modules = [
        ".".join(path.relative_to(REPOSITORY).with_suffix("").parts) for path in SOURCES if path.name != "__main__.py"
    ]
    code = "import importlib\n" + "\n".join(f"importlib.import_module({name!r})" for name in modules)
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", A_SITES_OWN)
def test_what_is_shipped_is_read_by_no_other_test_than_its_own(name: str) -> None:
    """See tests/guard.py."""
    path = REPOSITORY / name
    with pytest.raises(AssertionError, match="is what this repository ships"):
        list(path.iterdir()) if path.is_dir() else path.read_text()
    with pytest.raises(AssertionError, match="is what this repository ships"):
        shutil.copytree(path, "/dev/null/x") if path.is_dir() else shutil.copy(path, "/dev/null/x")


def test_no_institute_stands_in_the_code() -> None:
    """S1-S14: hosts, buckets, runner tags and project ids of one site."""
    sites = re.compile(r"epfl|bbpgitlab|bluebrain|openbrain|gpfs|\bbb5\b|aws_graviton|\.ch\b", re.IGNORECASE)
    files = [*SOURCES, *(REPOSITORY / "job_creator" / "scripts" / "templates").iterdir()]
    for path in files:
        assert not sites.search(path.read_text()), path


def test_no_test_module_is_imported() -> None:
    """What several need stands in a module of its own; one that is imported twice would run its tests' set-up twice."""
    for path in (REPOSITORY / "tests").rglob("*.py"):
        assert not [name for name in imported(path) if re.match(r"tests\.(\w+\.)*test_", name)], path


def test_text_in_files_is_utf8_whatever_the_locale_says() -> None:
    for name in ("job_creator", "spackitor", "get_artifacts", "spacktainer/image"):
        for path in (REPOSITORY / name).rglob("*.py"):
            for call in filter(is_text_access, ast.walk(ast.parse(path.read_text()))):
                assert "encoding=" in ast.unparse(call), f"{path}: {ast.unparse(call)}"


def is_text_access(node: ast.AST) -> bool:
    """Whether this is `Path.read_text`, `Path.write_text` or `Path.open` without `b` in its mode."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
        return False
    mode = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else None
    opens = node.func.attr == "open" and (not node.args or (isinstance(mode, str) and "b" not in mode))
    return node.func.attr in ("read_text", "write_text") or (opens and not node.keywords)
