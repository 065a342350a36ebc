"""Containers whose programs find libraries in the builder image that are not installed by Spack, with a real buildah.

The programs are compiled here; a stand-in for Spack installs them.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.integration.base_images import Buildah, buildah_in, debian_root, import_root, shared_folder
from tests.integration.components import require
from tests.integration.container_project import RUNTIME, Project, build_builder, project_in

pytestmark = [pytest.mark.usefixtures("components"), pytest.mark.xdist_group("images")]

LOCK = {"roots": [{"hash": "tool", "spec": "tool"}], "concrete_specs": {"tool": {}, "plugin": {}}}
LIBRARIES = "/usr/local/lib"
MISSING = (
    "it lacks libsystem.so.3, which is needed by plugin@0.1, tool@1.2;\n"
    f"  the builder image has it in {LIBRARIES}/libsystem.so.3; name the package that has it below "
    "'container: os_packages: final:', or install it in a Dockerfile.epilogue;\n"
    "  what the host brings belongs below 'spacktainer: host_libraries:'"
)


def _compile(target: Path, text: str, *options: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    command = [require("gcc"), "-x", "c", "-", "-x", "none", "-o", str(target), "-Wl,--allow-shlib-undefined", *options]
    subprocess.run(command, input=text, text=True, check=True)


def _library(folder: Path, name: str, function: str, *, version: str = "") -> Path:
    """A library with one function, which may have a version."""
    (folder / "versions").write_text(f"{version} {{ global: {function}; }};" if version else "{ global: *; };")
    options = (f"-Wl,-soname,{name}", f"-Wl,--version-script,{folder}/versions")
    _compile(folder / name, f"int {function}(void) {{ return 7; }}", "-shared", "-fPIC", *options)
    return folder / name


def _install(prefix: Path, name: str, version: str) -> Path:
    """An installed package, with what Spack notes in it."""
    (prefix / ".spack").mkdir(parents=True)
    nodes = [{"name": name, "version": version}]
    (prefix / ".spack" / "spec.json").write_text(json.dumps({"spec": {"nodes": nodes}}))
    return prefix


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the builder image is made with.

    Its system has three libraries, and `tool` and `plugin` are linked with them, and with another one of `tool`. There
    is no libcuda.so.1 anywhere, with which `plugin` is linked, too.
    """
    context = tmp_path_factory.mktemp("context")
    system = [
        _library(context, "libsystem.so.3", "of_system"),
        _library(context, "libversioned.so.1", "of_versioned", version="NEW_2"),
        _library(context, "libapart.so.1", "of_apart"),
    ]
    tool, plugin = _install(context / "tool", "tool", "1.2"), _install(context / "plugin", "plugin", "0.1")
    own = _library(context, "libown.so.1", "of_own")
    cuda = _library(context, "libcuda.so.1", "of_cuda")
    (tool / "lib").mkdir()
    own.rename(tool / "lib" / own.name)
    call = "int {0}(void); int main(void) {{ return {0}() - 7; }}"
    rpath = ("-Wl,-rpath,$ORIGIN/../lib", str(tool / "lib" / own.name))
    _compile(tool / "bin" / "own", call.format("of_own"), *rpath)
    _compile(tool / "bin" / "system", call.format("of_system"), str(system[0]))
    _compile(tool / "bin" / "versioned", call.format("of_versioned"), str(system[1]))
    _compile(tool / "bin" / "apart", call.format("of_apart"), "-Wl,-rpath,/opt/vendor/lib", str(system[2]))
    body = "int of_system(void); int of_cuda(void); int run(void) { return of_system() + of_cuda(); }"
    _compile(plugin / "lib" / "plugin.so", body, "-shared", "-fPIC", str(system[0]), str(cuda))
    cuda.unlink()
    return context


@pytest.fixture(scope="module")
def buildah(tmp_path_factory: pytest.TempPathFactory, context: Path) -> Buildah:
    buildah = buildah_in(tmp_path_factory.mktemp("buildah"))
    import_root(buildah, debian_root(shared_folder(tmp_path_factory)), RUNTIME)
    system = f"COPY libsystem.so.3 libversioned.so.1 {LIBRARIES}/\nCOPY libapart.so.1 /opt/vendor/lib/\nRUN ldconfig"
    build_builder(buildah, context, more=f"{system}\nCOPY tool /opt/binaries/tool\nCOPY plugin /opt/binaries/plugin")
    return buildah


@pytest.fixture
def project(tmp_path: Path, buildah: Buildah, context: Path) -> Project:
    project = project_in(tmp_path, buildah)
    project.lock(LOCK)
    folder = tmp_path / "spacktainer" / "files"
    folder.mkdir()
    for name in ("libsystem.so.3", "libversioned.so.1", "libapart.so.1"):
        (folder / name).write_bytes((context / name).read_bytes())
    return project


def _bring(*libraries: str) -> dict[str, Any]:
    """What the Dockerfile is rendered with where a definition brings libraries itself."""
    files = [
        {"source": f"spacktainer/files/{name}", "target": f"{folder}/{name}"}
        for name, folder in zip(libraries, (LIBRARIES, LIBRARIES, "/opt/vendor/lib"), strict=False)
    ]
    return {"files": files, "epilogue": "RUN ldconfig"}


def test_what_only_the_builder_image_has_ends_the_build(project: Project) -> None:
    project.write()
    code, printed = project.build("--tag", "localhost/lacking")
    assert code != 0
    assert MISSING in printed
    assert "it lacks libversioned.so.1, which is needed by tool@1.2;" in printed
    assert "it lacks libapart.so.1, which is needed by tool@1.2;" in printed
    assert "/opt/vendor/lib/libapart.so.1" in printed
    assert "libown" not in _said(printed)
    assert "libcuda" not in _said(printed)


def test_what_the_host_brings_is_not_looked_for(project: Project) -> None:
    project.write(host_libraries=["libsystem.so.*", "libapart.so.1"])
    code, printed = project.build("--tag", "localhost/of-the-host")
    assert code != 0
    assert "it lacks libversioned.so.1, which is needed by tool@1.2;" in printed
    assert printed.count("it lacks") == 1


def test_what_the_epilogue_brings_is_there(project: Project) -> None:
    project.write(**_bring("libsystem.so.3", "libversioned.so.1", "libapart.so.1"))
    code, printed = project.build("--tag", "localhost/whole")
    assert code == 0, printed
    assert "the runtime image cannot run" not in printed
    for program in ("own", "system", "versioned", "apart"):
        project.buildah.run("localhost/whole", f"/opt/software/tool/bin/{program}")
    # Neither the check nor what it knows is shipped.
    shown = project.buildah.run("localhost/whole", "sh", "-c", "ls -d /mnt /opt/spacktainer || :")
    assert "/mnt\n" in shown
    assert "cannot access '/opt/spacktainer'" in shown


def test_a_library_that_is_too_old_ends_the_build(project: Project, tmp_path: Path) -> None:
    _library(tmp_path / "spacktainer" / "files", "libversioned.so.1", "of_versioned", version="OLD_1")
    project.write(**_bring("libsystem.so.3", "libversioned.so.1", "libapart.so.1"))
    code, printed = project.build("--tag", "localhost/old")
    assert code != 0
    assert "its libversioned.so.1 is too old: it lacks NEW_2 for tool@1.2;" in printed
    assert "it lacks lib" not in printed


def _said(text: str) -> str:
    """What the check said."""
    return text.partition("the runtime image cannot run")[2]
