"""The plan of the house, where a test can see it: who may import whom, who goes out by which door, how large rooms are.

`LAYERS` is the one table over all commands. A folder or module that is not in it fails, so that whoever adds one says
where it stands.
"""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from foundation.stores.schemes import SCHEMES
from tests.samples import A_SITES_OWN, REPOSITORY

LAYERS: Final = (
    # What all commands stand on.
    {"foundation"},
    {"foundation/doors"},
    {"foundation/sif"},
    {"foundation/stores"},
    {"foundation/openpgp"},
    {"foundation/spack", "foundation/registries"},
    {"foundation/spack/grammar", "foundation/spack/sections"},
    # Subjects of `jc`.
    {"job_creator", "job_creator/site", "job_creator/project_files", "job_creator/engines", "job_creator/options"},
    {
        "job_creator/engines/gitlab/names",
        "job_creator/builds",
        "job_creator/provenance",
        "job_creator/repository",
    },
    {"job_creator/environments/marks", "job_creator/engines/gitlab/sizes", "job_creator/engines/engine"},
    {"job_creator/engines/scheduler"},
    {"job_creator/engines/flux", "job_creator/engines/local", "job_creator/engines/ray", "job_creator/engines/slurm"},
    {
        "job_creator/engines/gitlab/objects",
        "job_creator/scripts",
        "job_creator/scripts/templates",
        "job_creator/definitions",
    },
    {"job_creator/compile_pool/allocation"},
    {"job_creator/compile_pool"},
    {"job_creator/engines/gitlab/verdict"},
    {"job_creator/engines/gitlab/limits", "job_creator/environments", "job_creator/schemas"},
    {"job_creator/checks/environment_file"},
    {"job_creator/checks/specs"},
    {"job_creator/checks"},
    {"job_creator/inputs"},
    {"job_creator/engines/gitlab/generated", "job_creator/engines/gitlab/package_names", "job_creator/images"},
    {"job_creator/engines/gitlab/running_pipelines"},
    {"job_creator/engines/gitlab", "job_creator/engines/gitlab/simulation"},
    {"job_creator/publishing", "job_creator/reports/text"},
    {"job_creator/containers", "job_creator/publishing/clusters"},
    {"job_creator/proving"},
    {"job_creator/audit", "job_creator/publishing/clusters/cli", "job_creator/sbom"},
    # What `jc verify` puts together has bills of materials in it.
    {"job_creator/proving/verification"},
    {"job_creator/proving/cli"},
    # Engines, and the pipelines that they run.
    {"job_creator/engines/gitlab/jobs"},
    {"job_creator/engines/gitlab/packing", "job_creator/engines/gitlab/container_questions"},
    {"job_creator/engines/gitlab/base_pipeline", "job_creator/engines/gitlab/container_pipeline"},
    {"job_creator/engines/gitlab/parent_pipeline"},
    {"job_creator/pipelines"},
    {"job_creator/audit/cli", "job_creator/publishing/cli", "job_creator/sbom/cli"},
    # Mirrors stand beside the pipelines, but ask them for environments.
    {"job_creator/mirrors", "job_creator/mirrors/contents", "job_creator/mirrors/findings"},
    {"job_creator/mirrors/permissions", "job_creator/mirrors/places", "job_creator/mirrors/view"},
    {"job_creator/mirrors/sharing", "job_creator/mirrors/keys", "job_creator/mirrors/needs"},
    {"job_creator/mirrors/bundles", "job_creator/mirrors/configuration", "job_creator/mirrors/verification"},
    {"job_creator/mirrors/filling"},
    # Building without GitLab.
    {"job_creator/corpus", "job_creator/package_lists/folder", "job_creator/runs/machines"},
    {"job_creator/runs"},
    {"job_creator/corpus/failures"},
    # What is told of plans and of runs.
    {"job_creator/reports"},
    {"job_creator/reports/forms", "job_creator/reports/notes"},
    {"job_creator/reports/cli"},
    {"job_creator/reproduction"},
    # Command lines, and the rehearsal, which runs what they made.
    {
        "job_creator/package_index",
        "job_creator/corpus/cli",
        "job_creator/mirrors/cli",
        "job_creator/runs/cli",
        "job_creator/rehearsal/outcomes",
        "job_creator/rehearsal/replay",
    },
    {"job_creator/package_lists"},
    # Studies read caches, and no definitions.
    {"job_creator/studies"},
    {"job_creator/studies/splices/facts"},
    {"job_creator/studies/splices/gathering"},
    {"job_creator/studies/splices/prediction"},
    {"job_creator/studies/splices/report", "job_creator/studies/splices/verification"},
    {"job_creator/studies/splices"},
    {"job_creator/rehearsal/shell", "job_creator/scaffolding", "job_creator/diagnosis"},
    {"job_creator/rehearsal"},
    {"job_creator/__main__"},
    # The other two commands.
    {"spackitor"},
    {"spackitor/inventory"},
    {"spackitor/layouts"},
    {"spackitor/policy"},
    {"spackitor/survey"},
    {"spackitor/removal"},
    {"spackitor/commands"},
    {"spackitor/purging"},
    {"spackitor/report", "spackitor/sizes"},
    {"spackitor/cli"},
    {"spackitor/__main__"},
    {"get_artifacts"},
)
"""Imports point one way: rooms import from rooms of earlier layers, and within themselves.

A room is a folder without the folders in it. Modules that are named are rooms of their own, apart from their folder.
"""

SHARED: Final = {
    "job_creator",  # the version
    "job_creator/engines/gitlab/names",
    "job_creator/engines/gitlab/sizes",  # how large an archive of artifacts may be
    "job_creator/project_files",  # the name of the site file
    "job_creator/site",  # the same limit, as a site sets it
}
"""What `spackitor` and `get_artifacts` may import of `job_creator`."""

PURE: Final = {
    "foundation/openpgp": ("frame", "keys"),
    "foundation/registries": ("manifests", "published", "reference"),
    "foundation/sif": ("headers", "squashfs"),
    "foundation/spack": (
        "groups",
        "index",
        "layout_oci",
        "layout_v2",
        "layout_v3",
        "licenses",
        "package_index",
        "source_needs",
        "specs",
    ),
    "foundation/spack/grammar": ("*",),
    "foundation/spack/sections": ("*",),
    "foundation/stores": ("schemes",),
    "job_creator/site": ("*",),
    "job_creator/audit": ("elf_headers", "findings", "instructions", "linkage", "targets"),
    "job_creator/builds": ("merge", "phases", "steps"),
    "job_creator/checks/specs": ("*",),
    "job_creator/compile_pool/allocation": ("script", "settings"),
    "job_creator/compile_pool": ("commands", "launchers", "records", "steps"),
    "job_creator/containers": ("*",),
    "job_creator/diagnosis": ("diagnoses", "project_variables"),
    "job_creator/definitions": ("choice", "file", "header", "paths", "recipes"),
    "job_creator/engines/gitlab": ("*",),
    "job_creator/engines/gitlab/jobs": ("*",),
    "job_creator/engines/gitlab/packing": ("*",),
    "job_creator/engines/gitlab/verdict": ("*",),
    "job_creator/engines/flux": ("*",),
    "job_creator/engines/slurm": ("*",),
    "job_creator/environments": ("*",),
    "job_creator/images": ("*",),
    "job_creator/mirrors": ("contents", "findings"),
    "job_creator/mirrors/bundles": ("bundle", "merging", "parts"),
    "job_creator/mirrors/configuration": ("scope",),
    "job_creator/mirrors/needs": ("answers", "binaries", "plan", "plan_report"),
    "job_creator/mirrors/verification": ("binary_checks", "registry_checks", "source_checks"),
    "job_creator/provenance": ("sif_subjects", "statements"),
    "job_creator/package_lists": ("classes", "selection"),
    "job_creator/proving": ("chain", "claims", "image_facts"),
    "job_creator/publishing": ("record", "retention"),
    "job_creator/rehearsal/shell": ("order",),
    "job_creator/reports": (
        "changes",
        "changes_text",
        "error_lines",
        "planned",
        "ran",
        "report",
        "schedules",
        "sections",
    ),
    "job_creator/reports/forms": ("markdown", "metrics", "pictures", "trace"),
    "job_creator/reproduction": ("container_build", "package_job"),
    "job_creator/runs/machines": ("allocation",),
    "job_creator/reports/notes": ("note",),
    "job_creator/runs": ("driver", "failures", "plan", "progress", "records", "report"),
    "job_creator/sbom": (
        "components",
        "cyclonedx",
        "difference",
        "distribution",
        "gathering",
        "licences",
        "own_bills",
        "spdx",
    ),
    "job_creator/studies/splices/facts": ("elf", "values"),
    "job_creator/studies/splices/prediction": (
        "comparison",
        "judgement",
        "plan",
        "type_changes",
        "verdicts",
        "world",
    ),
    "job_creator/studies/splices/report": ("*",),
    "job_creator/studies/splices/verification": ("outcomes",),
    "spackitor/inventory": ("*",),
    "spackitor/layouts": ("*",),
    "spackitor/sizes": ("groups", "page", "treemap"),
    "spackitor/policy": ("plan", "source_plan", "verdicts"),
    "get_artifacts": ("family", "selection"),
}
"""Values and plans: neither files, nor processes, nor the network. `*` is the whole folder."""
OUTSIDE: Final = {
    *("asyncio", "boto3", "botocore", "fcntl", "gitlab", "http", "os", "pathlib", "requests", "shutil", "signal"),
    *("socket", "socketserver", "ssl", "subprocess", "tempfile", "urllib3"),
}

DOORS: Final[Mapping[str, tuple[str, ...]]] = {
    "subprocess": (
        "foundation/doors/processes",
        "job_creator/compile_pool/rank",
        "job_creator/engines/ray/inside_ray",
        # They run where this project is not installed.
        "job_creator/scripts/templates/apart",
        "job_creator/scripts/templates/build_packages",
        "job_creator/scripts/templates/package_phases",
        "job_creator/scripts/templates/run_step",
        "job_creator/scripts/templates/spack_apart",
        "job_creator/scripts/templates/workplace",
    ),
    "requests": ("foundation/doors/bounds", "foundation/doors/http", "foundation/doors/streams"),
    "urllib3": ("foundation/doors/bounds", "foundation/doors/http", "foundation/doors/streams"),
    "boto3": ("foundation/stores/s3_client",),
    "botocore": ("foundation/stores",),
    "gitlab": (
        "get_artifacts/gitlab_api",
        "job_creator/reports/notes/merge_request",
        "job_creator/reproduction/gitlab_jobs",
    ),
    "socket": (
        "foundation/doors/bounds",
        "foundation/doors/machine",
        "job_creator/compile_pool/pool",  # hangs up on ranks
        "job_creator/engines/ray/cluster",  # looks for a free port
    ),
    "asyncio": (),
}
"""The libraries that lead out of the program, and the folders or modules that may import them."""

GITLAB_OBJECTS: Final = "job_creator/engines/gitlab/objects"
KNOWS_GITLAB: Final = ("engines/gitlab", "pipelines", "rehearsal", "scripts", "reports", "reproduction")
"""Who may make and read GitLab's jobs; reports show pipelines, and jobs are reproduced."""

MODULES_PER_FOLDER: Final = 12
MODULES_IN_ROOT: Final = 6
LINES_PER_MODULE: Final = 350
LINES_PER_FUNCTION: Final = 60

SOURCES: Final = {
    path.relative_to(REPOSITORY).with_suffix("").as_posix().removesuffix("/__init__"): path
    for top in ("foundation", "job_creator", "spackitor", "get_artifacts")
    for path in sorted((REPOSITORY / top).rglob("*.py"))
}
"""Every module by its place: `foundation/doors/http`; a package is called as its folder."""
LEVELS: Final = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}


@cache
def tree_of(module: str) -> ast.Module:
    return ast.parse(SOURCES[module].read_text())


@cache
def imported(module: str) -> frozenset[str]:
    """All that a module imports, wherever in it: modules of ours by their place, others by their first name."""
    found: set[str] = set()
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.ImportFrom) and node.module:
            place = node.module.replace(".", "/")
            parts = {inner if (inner := f"{place}/{alias.name}") in SOURCES else place for alias in node.names}
            found |= parts if place in SOURCES else {node.module.partition(".")[0]}
        elif isinstance(node, ast.Import):
            names = (alias.name.replace(".", "/") for alias in node.names)
            found |= {name if name in SOURCES else name.partition("/")[0] for name in names}
    return frozenset(found)


def folder_of(module: str) -> str:
    return module if SOURCES[module].name == "__init__.py" else module.rpartition("/")[0]


def room_of(module: str) -> str:
    """The row of the table that a module belongs to."""
    return module if module in LEVELS else folder_of(module)


def is_in(module: str, places: tuple[str, ...]) -> bool:
    return any(module == place or module.startswith(f"{place}/") for place in places)


def is_pure(module: str) -> bool:
    names = PURE.get(folder_of(module), ())
    return "*" in names or module.rpartition("/")[2] in names


def test_imports_point_one_way() -> None:
    for module in SOURCES:
        room = room_of(module)
        assert room in LEVELS, f"{room} has no place in LAYERS"
        for other in imported(module) & SOURCES.keys():
            theirs = room_of(other)
            assert theirs == room or LEVELS[theirs] < LEVELS[room], f"{module} imports {other}"


def test_the_table_names_nothing_that_is_not_there() -> None:
    folders = {folder_of(module) for module in SOURCES}
    assert LEVELS.keys() <= folders | SOURCES.keys()
    assert len(LEVELS) == sum(map(len, LAYERS)), "a room stands in two layers"
    assert PURE.keys() <= folders
    named = {f"{folder}/{name}" for folder, names in PURE.items() for name in names if name != "*"}
    assert named <= SOURCES.keys()
    assert {place for places in DOORS.values() for place in places} <= folders | SOURCES.keys()


def test_commands_share_little() -> None:
    for module in SOURCES:
        command = module.partition("/")[0]
        for other in imported(module) & SOURCES.keys():
            top = other.partition("/")[0]
            if top not in (command, "foundation"):
                assert command in ("spackitor", "get_artifacts"), f"{module} imports {other}"
                assert room_of(other) in SHARED, f"{module} imports {other}"


def test_ways_out_are_the_doors() -> None:
    for module in SOURCES:
        for library in imported(module) & DOORS.keys():
            assert is_in(module, DOORS[library]), f"{module} imports {library}"


def test_values_and_plans_touch_neither_files_nor_processes_nor_the_network() -> None:
    for module in SOURCES:
        if is_pure(module):
            doors = {other for other in imported(module) if is_in(other, ("foundation/doors",))}
            assert not imported(module) & OUTSIDE, module
            assert not doors, module


def test_jobs_of_gitlab_are_known_to_its_engine_and_to_pipelines() -> None:
    for module in SOURCES:
        if GITLAB_OBJECTS in imported(module):
            assert is_in(module, tuple(f"job_creator/{name}" for name in KNOWS_GITLAB)), module


def test_only_command_lines_read_the_environment() -> None:
    # Processes hand their own environment on to the programs that they start; the script inside Spack is a program.
    hand_on = {
        "foundation/doors/processes",
        "job_creator/compile_pool/client",
        "job_creator/compile_pool/rank",
        "job_creator/scripts/templates/inside_spack",
        "job_creator/scripts/templates/apart",
        "job_creator/scripts/templates/build_packages",
        "job_creator/scripts/templates/package_phases",
        "job_creator/scripts/templates/run_step",
        "job_creator/scripts/templates/spack_apart",
        "job_creator/mirrors/needs/inside_spack",
    }
    readers = {module for module, path in SOURCES.items() if re.search(r"os\.environ|getenv", path.read_text())}
    assert {module for module in readers - hand_on if not module.endswith("/__main__")} == set()


def pieces_of_text(node: ast.AST) -> Iterator[str]:
    """The literal texts of a module, without its docstrings."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
            continue
        if isinstance(child, ast.Constant) and isinstance(child.value, str):
            yield child.value
        yield from pieces_of_text(child)


def test_schemes_of_urls_stand_in_one_table() -> None:
    """What asks whether a URL begins with `s3://` asks `schemes.kind_of` instead."""
    for module in SOURCES:
        spelt = {f"{scheme}://" for scheme in SCHEMES if scheme}
        # requests wants to be told for which URLs its retries are.
        if module not in ("foundation/stores/schemes", "foundation/doors/http"):
            assert not spelt & set(pieces_of_text(tree_of(module))), module


def test_folders_stay_small() -> None:
    sizes: dict[str, int] = defaultdict(int)
    for module, path in SOURCES.items():
        sizes[folder_of(module)] += path.name != "__init__.py"
    for path in (REPOSITORY / "benchmarks").rglob("*.py"):
        sizes[path.parent.name] += path.name != "__init__.py"
    assert {folder: size for folder, size in sizes.items() if size > MODULES_PER_FOLDER} == {}
    assert sizes["job_creator"] <= MODULES_IN_ROOT


def test_modules_and_functions_stay_small() -> None:
    for module in SOURCES:
        assert len(SOURCES[module].read_text().splitlines()) <= LINES_PER_MODULE, module
        for node in ast.walk(tree_of(module)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                # Not the docstring, which is the help of a command, nor its options.
                lines = (node.end_lineno or 0) - body[0].lineno + 1 if body else 0
                assert lines <= LINES_PER_FUNCTION, f"{module}: {node.name}"


def test_no_class_is_called_like_another() -> None:
    found = defaultdict(list)
    image = {path.stem: ast.parse(path.read_text()) for path in (REPOSITORY / "spacktainer" / "image").glob("*.py")}
    for module, tree in {**{module: tree_of(module) for module in SOURCES}, **image}.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                found[node.name].append(module)
    assert {name: places for name, places in found.items() if len(places) > 1} == {}


@pytest.mark.parametrize("command", ["foundation", "job_creator", "spackitor", "get_artifacts"])
def test_importing_a_module_does_nothing(command: str, tmp_path: Path) -> None:
    """D121: a template was read and a log file opened when the package was imported."""
    names = [module.replace("/", ".") for module in SOURCES if is_in(module, (command,))]
    code = "import importlib, sys\n" + "\n".join(f"importlib.import_module({name!r})" for name in names)
    # What takes a second to import is imported where it is used.
    code += "\nassert not {'boto3', 'elftools', 'PIL', 'reportlab'} & sys.modules.keys()"
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
    files = [*SOURCES.values(), *(REPOSITORY / "job_creator" / "scripts" / "templates").glob("*.j2")]
    for path in files:
        assert not sites.search(path.read_text()), path


def test_no_host_of_a_package_registry_stands_in_the_code() -> None:
    """A site says where packages come from, or its machines' configuration does."""
    parts = (("pypi", "org"), ("pythonhosted", "org"), ("deb", "debian", "org"), ("snapshot", "debian", "org"))
    more = (("registry", "npmjs", "org"), ("proxy", "golang", "org"))
    hosts = re.compile("|".join(re.escape(".".join(one)) for one in (*parts, *more)))
    files = [*SOURCES.values(), *(REPOSITORY / "job_creator" / "scripts" / "templates").glob("*.j2")]
    found = [f"{path}: {host}" for path in files for host in hosts.findall(path.read_text())]
    assert found == []


def test_no_test_module_is_imported_by_another() -> None:
    """What several need stands in a module of its own; one that is imported twice would run its tests' set-up twice."""
    found = [
        f"{path.relative_to(REPOSITORY)} imports {node.module}"
        for path in sorted((REPOSITORY / "tests").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and re.search(r"(^|\.)test_", node.module or "")
    ]
    assert found == []


def test_text_in_files_is_utf8_whatever_the_locale_says() -> None:
    for name in ("foundation", "job_creator", "spackitor", "get_artifacts", "spacktainer/image"):
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
