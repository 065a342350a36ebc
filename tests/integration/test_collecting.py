"""What builds leave beside packages: `jc build --collect`, and `jc corpus`; bitcode with a real clang."""

from __future__ import annotations

import hashlib
import json
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.build_project import BuildProject
from tests.build_runs import dag_hash
from tests.commands import jc
from tests.integration.components import require

NEEDS = {"base": (), "top": ("base",)}
KINDS = ("--collect", "bitcode", "--collect", "sources", "--collect", "licenses")


@pytest.fixture(name="project")
def project_fixture(tmp_path: Path) -> BuildProject:
    project = BuildProject.made(tmp_path, NEEDS)
    for name in NEEDS:
        source = project.notes / f"stage-{name}" / "spack-src"
        (source / "lib").mkdir(parents=True)
        (source / "lib" / f"{name}.c").write_text(f"int {name}(int x) {{ return x + 1; }}\n")
        (source / "LICENSE.md").write_text(f"The license of {name}.\n")
        (source / "README").write_text("Nobody collects this.\n")
        (source / "lib" / "outside.c").symlink_to("/etc/passwd")
    return project


def record_of(project: BuildProject, name: str) -> dict[str, object]:
    path = project.mirror / f"corpus/packages/{name}-1.0-{dag_hash(name)}.json"
    found: dict[str, object] = json.loads(path.read_bytes())
    return found


def archive_of(project: BuildProject, name: str) -> Path:
    record = record_of(project, name)
    assert isinstance(record["archive"], dict)
    path = project.mirror / str(record["archive"]["key"])
    assert hashlib.sha256(path.read_bytes()).hexdigest() == record["archive"]["sha256"] == path.name[:64]
    assert path.stat().st_size == record["archive"]["bytes"]
    return path


def names_in(archive: Path) -> list[str]:
    with tarfile.open(archive) as tar:
        return tar.getnames()


def test_sources_and_licenses_lie_beside_the_cache(project: BuildProject) -> None:
    told = project.build(*KINDS)
    assert told["built"] == 2
    assert names_in(archive_of(project, "base")) == ["licenses/spack-src/LICENSE.md", "sources/spack-src/lib/base.c"]
    manifest = json.loads((project.mirror / "corpus/manifest.json").read_bytes())
    assert [one["package"] for one in manifest["packages"]] == ["base", "top"]
    assert manifest["packages"][0] == record_of(project, "base")
    assert manifest["packages"][0]["license"] == "MIT"
    assert manifest["packages"][0]["collected"]["bitcode"] == {"files": 0, "bytes": 0, "because": ""}
    # All is there: nothing is built for it.
    assert project.build(*KINDS, run="second")["to_build"] == 0


def test_what_the_cache_has_is_built_for_what_was_not_collected(project: BuildProject) -> None:
    project.build()
    told = project.build("--collect", "sources", run="second")
    assert told["built"] == 2
    told = project.build("--collect", "licenses", run="third")
    assert told["built"] == 2
    (project.mirror / record_key(archive_of(project, "top"), project)).unlink()
    told = project.build("--collect", "licenses", run="fourth")
    assert project.states(told) == {"top": "built"}


def record_key(path: Path, project: BuildProject) -> str:
    return path.relative_to(project.mirror).as_posix()


def test_the_same_files_are_the_same_archive(project: BuildProject) -> None:
    project.build("--collect", "sources")
    first = archive_of(project, "base").name
    for path in (project.mirror / "corpus").rglob("*"):
        if path.is_file():
            path.unlink()
    project.build("--collect", "sources", run="second")
    assert archive_of(project, "base").name == first


def test_other_compilers_are_not_told_of_bitcode(project: BuildProject) -> None:
    project.tell("compiler-top", "gcc")
    project.build("--collect", "bitcode")
    flags = {call["package"]: call.get("SPACK_DEBUG_FLAGS", "") for call in project.calls("flags")}
    assert flags == {"base": "-Xclang -fembed-bitcode=all", "top": ""}
    rows = jc("corpus", "sizes", str(project.mirror)).stdout
    assert "none: gcc compiles it" in rows


def test_a_registry_has_no_room_for_archives(project: BuildProject) -> None:
    done = jc(
        *("build", str(project.folder / "toys.lock"), "--mirror", "oci://registry.example.org/cache"),
        *("--spack", str(project.spack), "--collect", "sources"),
    )
    assert done.exit_code == 9
    assert "a registry has no room" in done.stderr


def test_failures_and_licenses_are_told(project: BuildProject) -> None:
    project.tell("fail-base")
    project.build(*KINDS, code=12)
    run = str(project.folder / "run")
    told = json.loads(jc("corpus", "failures", run, "--json").stdout)
    assert told["classes"] == {"dependency": 1, "own": 1}
    assert [(one["package"], one["blocked"]) for one in told["not_built"]] == [("base", 1)]
    assert [one["package"] for one in told["skipped"]] == ["top"]
    assert jc("corpus", "failures", run).stdout.splitlines()[0] == "1 dependency, 1 own"
    assert jc("corpus", "failures", str(project.folder)).exit_code == 7
    assert jc("corpus", "sizes", str(project.mirror)).exit_code == 7
    (project.notes / "fail-base").unlink()
    project.build(*KINDS, run="second")
    assert "MIT" in jc("corpus", "licenses", str(project.mirror)).stdout
    assert jc("corpus", "licenses", str(project.mirror), "--allow", "mit").exit_code == 0
    refused = jc("corpus", "licenses", str(project.mirror), "--allow", "BSD-3-Clause", "--json")
    assert refused.exit_code == 9
    assert json.loads(refused.stdout)["not_allowed"] == [dag_hash("base"), dag_hash("top")]


@pytest.mark.usefixtures("components")
def test_each_object_of_clang_has_its_bitcode(project: BuildProject) -> None:
    clang, disassemble = require("clang"), require("llvm-dis")
    for name in NEEDS:
        source = project.notes / f"stage-{name}" / "spack-src" / "lib"
        embed = [clang, "-Xclang", "-fembed-bitcode=all"]
        subprocess.run([*embed, "-O2", "-c", f"{name}.c", "-o", f"{name}.o"], cwd=source, check=True)
        subprocess.run([*embed, "-fPIC", "-c", f"{name}.c", "-o", f"{name}.pic.o"], cwd=source, check=True)
        subprocess.run([clang, "-flto", "-c", f"{name}.c", "-o", f"{name}.lto.o"], cwd=source, check=True)
        # None of these has any of its own.
        subprocess.run([clang, "-c", f"{name}.c", "-o", "plain.o"], cwd=source, check=True)
        subprocess.run([clang, "-shared", f"{name}.pic.o", "-o", "linked.so"], cwd=source, check=True)
        (source / "cut.o").write_bytes((source / f"{name}.o").read_bytes()[:100])
    project.build("--collect", "bitcode")
    for name in NEEDS:
        archive = archive_of(project, name)
        found = [one for one in names_in(archive) if one.endswith(".bc")]
        folder = "bitcode/spack-src/lib"
        assert found == [f"{folder}/{name}.{kind}o.bc" for kind in ("lto.", "", "pic.")]
        with tarfile.open(archive) as tar:
            tar.extractall(project.folder / name, filter="data")
        for one in found:
            said = subprocess.run(
                [disassemble, "-o", "-", one], cwd=project.folder / name, check=True, capture_output=True, text=True
            )
            assert f"@{name}(" in said.stdout
        assert b"-cc1" in (project.folder / name / folder / f"{name}.o.cmd").read_bytes()
    (one, *_) = json.loads(jc("corpus", "sizes", str(project.mirror), "--json").stdout)["packages"]
    extracted = list((project.folder / one["package"]).rglob("*.bc"))
    assert one["collected"]["bitcode"]["bytes"] == sum(path.stat().st_size for path in extracted)
