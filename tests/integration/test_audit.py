"""`jc audit` on tiny programs that a real compiler made: each is broken in one way, and that is what is found."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from foundation.errors import ExitCode
from job_creator.audit import auditing
from tests.commands import jc
from tests.integration.components import require
from tests.integration.registry_server import GROUP, push_files, run_registry
from tests.integration.sif_world import file_system, sif_file

pytestmark = pytest.mark.usefixtures("components")

HASH = "abcdefghijklmnopqrstuvwxyz234567"
PREFIX = f"opt/software/linux-x86_64_v3/app-1.0-{HASH}"
LOADER = "/lib64/ld-linux-x86-64.so.2"
WIDE = """\
#include <immintrin.h>
void scale(float *x, float f) { _mm512_storeu_ps(x, _mm512_mul_ps(_mm512_loadu_ps(x), _mm512_set1_ps(f))); }
"""
ADD = "float add(const float *x, int n) { float s = 0; for (int i = 0; i < n; i++) s += x[i] * 1.5f; return s; }\n"
MAIN = "int main(void) { return 0; }\n"
CLONES = f'__attribute__((target_clones("avx512f", "default")))\n{ADD}'
ASKS = (
    WIDE
    + """\
#include <cpuid.h>
int can(void) { unsigned a, b, c, d; return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b >> 16 & 1); }
"""
)


@dataclass
class Image:
    """The files of a container, and what an audit of it says."""

    folder: Path

    @property
    def root(self) -> Path:
        return self.folder / "root"

    def compile(self, name: str, source: str, *options: str, prefix: str = PREFIX) -> Path:
        target = self.root / prefix / name
        target.parent.mkdir(parents=True, exist_ok=True)
        (self.folder / "x.c").write_text(source)
        kind = ["-shared", "-fPIC"] if ".so" in name else []
        command = [require("gcc"), "-O2", *kind, "-o", str(target), str(self.folder / "x.c"), *options]
        subprocess.run(command, check=True, capture_output=True)
        return target

    def write(self, name: str, content: bytes) -> None:
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        (self.root / name).write_bytes(content)

    def audit(self, *options: str, target: Any = "x86_64_v3") -> tuple[int, dict[str, Any]]:
        node = {"name": "app", "version": "1.0", "hash": HASH, "arch": {"target": target}}
        lock = {
            "_meta": {"file-type": "spack-lockfile", "lockfile-version": 6, "specfile-version": 5},
            "roots": [{"hash": HASH, "spec": "app"}],
            "concrete_specs": {HASH: node},
        }
        self.write("opt/spack-environment/spack.lock", json.dumps(lock).encode())
        self.write("lib64/ld-linux-x86-64.so.2", b"the loader")
        self.write("lib/x86_64-linux-gnu/libc.so.6", b"the C library")
        self.write("etc/ld.so.conf", b"include /etc/ld.so.conf.d/*.conf\n")
        self.write("etc/ld.so.conf.d/x86_64-linux-gnu.conf", b"# Multiarch\n/lib/x86_64-linux-gnu\n")
        path = sif_file(self.folder / "x.sif", file_system(self.root, self.folder / "x.squashfs"))
        result = jc("audit", str(path), "--json", *options)
        return result.exit_code, json.loads(result.stdout)


@pytest.fixture
def image(tmp_path: Path) -> Image:
    return Image(tmp_path)


def only(found: tuple[int, dict[str, Any]], *, fault: bool) -> tuple[str, str]:
    """The one thing that was found."""
    code, value = found
    assert (code, len(value["findings"]), value["faults"]) == (ExitCode.REFUSED if fault else 0, 1, int(fault)), value
    (one,) = value["findings"]
    assert one["package"] == "app@1.0"
    return one["kind"], one["said"]


def test_what_can_run_is_not_complained_of(image: Image) -> None:
    image.compile("bin/app", MAIN)
    image.compile("lib/libadd.so", ADD, "-mavx2", "-ftree-vectorize", "-O3", "-ffast-math")
    image.write(f"{PREFIX}/bin/script", b"#!/bin/sh\n")
    image.write("bin/sh", b"a shell")
    code, value = image.audit()
    assert (code, value["findings"], value["files"]) == (0, [], 3)


@pytest.mark.parametrize("options", [("-mavx512f",), ("-mavx512f", "-g"), ("-mavx512f", "-O3", "-s")])
def test_instructions_above_the_target_are_a_fault(image: Image, options: tuple[str, ...]) -> None:
    image.compile("lib/libwide.so", WIDE, *options)
    kind, said = only(image.audit(), fault=True)
    assert kind == "instructions"
    assert "avx512f" in said
    assert "x86_64_v3 lacks" in said


def test_the_same_instructions_are_right_for_a_target_that_has_them(image: Image) -> None:
    image.compile("lib/libwide.so", WIDE, "-mavx512f")
    assert image.audit(target="x86_64_v4")[1]["findings"] == []
    named = {"name": "skylake_avx512", "features": ["avx", "avx2", "avx512f", "fma"]}
    assert image.audit(target=named)[1]["findings"] == []


def test_below_avx_its_instructions_are_a_fault_too(image: Image) -> None:
    image.compile("lib/libadd.so", ADD, "-mavx2", "-ftree-vectorize", "-O3", "-ffast-math")
    assert only(image.audit(target="x86_64_v2"), fault=True)[0] == "instructions"
    image.compile("lib/libadd.so", ADD, "-march=x86-64", "-O3", "-ffast-math")
    assert image.audit(target="x86_64_v2")[1]["findings"] == []


@pytest.mark.parametrize(("name", "source"), [("lib/libclones.so", CLONES), ("lib/libasks.so", ASKS)])
def test_who_asks_the_processor_first_is_only_odd(image: Image, name: str, source: str) -> None:
    image.compile(name, source, *(["-mavx512f"] if source is ASKS else ["-O3", "-ffast-math"]))
    kind, said = only(image.audit(), fault=False)
    assert kind == "instructions"
    assert said.endswith("seems to choose when it is started")


def test_a_target_that_is_not_known_is_told_and_not_judged(image: Image) -> None:
    image.compile("lib/libwide.so", WIDE, "-mavx512f")
    code, value = image.audit(target="something_new")
    assert (code, value["findings"]) == (0, [])
    assert value["not_looked_at"] == ["instructions of app@1.0: what the target something_new allows is not known"]


def _with_library(image: Image, name: str, *options: str) -> None:
    (image.folder / "lib").mkdir(exist_ok=True)
    (image.folder / "y.c").write_text("int y(void) { return 1; }\n")
    library = image.folder / "lib" / f"lib{name}.so"
    command = [require("gcc"), "-shared", "-fPIC", f"-Wl,-soname,lib{name}.so.1", "-o", str(library)]
    subprocess.run([*command, str(image.folder / "y.c")], check=True, capture_output=True)
    source = "int y(void);\nint main(void) { return y(); }\n"
    image.compile("bin/app", source, f"-L{library.parent}", f"-l{name}", *options)


def test_a_library_that_is_nowhere_is_a_fault(image: Image) -> None:
    _with_library(image, "other")
    assert only(image.audit(), fault=True) == ("library", "needs libother.so.1, which is not in the container")
    assert only(image.audit("--from-host", "libother.so*"), fault=False)[0] == "library"


def test_what_drivers_of_the_host_bring_is_only_odd(image: Image) -> None:
    _with_library(image, "cuda")
    assert only(image.audit(), fault=False) == ("library", "needs libcuda.so.1, which the host has to bring")


def test_a_library_is_found_by_the_search_path_from_the_files_own_place(image: Image) -> None:
    _with_library(image, "other", "-Wl,-rpath,$ORIGIN/../lib")
    image.write(f"{PREFIX}/lib/libother.so.1", (image.folder / "lib" / "libother.so").read_bytes())
    assert image.audit()[1]["findings"] == []


@pytest.mark.parametrize(
    ("path", "fault"),
    [("/tmp/r/spack-stage/spack-stage-app/lib", True), ("lib", True), ("/nowhere/lib", False)],  # noqa: S108
)
def test_search_paths_that_lead_out_of_the_image(image: Image, path: str, fault: bool) -> None:
    image.compile("bin/app", MAIN, f"-Wl,-rpath,{path}")
    code, value = image.audit()
    found = {(one["kind"], one["fault"]) for one in value["findings"]}
    assert ("search path", fault) in found
    assert code == (ExitCode.REFUSED if fault else 0)
    # Its text is in the file, too.
    assert ("build path" in {kind for kind, _ in found}) == ("spack-stage" in path)


def test_an_interpreter_that_is_not_there_is_a_fault(image: Image) -> None:
    image.compile("bin/app", MAIN, "-Wl,--dynamic-linker,/opt/gone/ld.so")
    assert only(image.audit(), fault=True) == ("interpreter", "its interpreter /opt/gone/ld.so is not in the container")


def test_a_script_without_its_interpreter_is_a_fault_where_it_is_meant_to_be_started(image: Image) -> None:
    image.write(f"{PREFIX}/bin/tool", b"#!/opt/gone/python3 -E\n")
    assert only(image.audit(), fault=True)[0] == "interpreter"
    (image.root / PREFIX / "bin" / "tool").unlink()
    image.write(f"{PREFIX}/share/tool", b"#!/opt/gone/python3 -E\n")
    assert only(image.audit(), fault=False)[0] == "interpreter"


def test_faults_can_be_told_without_ending_the_job(image: Image) -> None:
    image.write(f"{PREFIX}/bin/tool", b"#!/opt/gone/python3\n")
    assert image.audit("--report-only")[0] == 0


def test_the_table_names_the_package(image: Image) -> None:
    for name in ("one", "two"):
        image.write(f"{PREFIX}/bin/{name}", b"#!/opt/gone/python3\n")
    image.audit()
    result = jc("audit", str(image.folder / "x.sif"))
    assert "app@1.0" in result.stdout
    assert f"its interpreter /opt/gone/python3 is not in the container: /{PREFIX}/bin/one" in result.stdout


def test_an_image_is_audited_as_its_sif_file_is(image: Image, tmp_path: Path) -> None:
    image.compile("lib/libwide.so", WIDE, "-mavx512f")
    image.compile("bin/app", MAIN, "-Wl,-rpath,/tmp/r/spack-stage/lib")
    in_file = image.audit()
    files = {str(path.relative_to(image.root)): path.read_bytes() for path in image.root.rglob("*") if path.is_file()}
    with run_registry(tmp_path) as registry:
        push_files(registry, f"{GROUP}app", "1.0", {}, files)
        result = jc("-C", str(tmp_path), "audit", f"{registry.host}/{GROUP}app:1.0", "--json")
        assert (result.exit_code, json.loads(result.stdout)) == in_file
        assert in_file[0] == ExitCode.REFUSED
        assert jc("-C", str(tmp_path), "audit", f"{registry.host}/{GROUP}none:1.0").exit_code == ExitCode.NOT_THERE
    assert jc("-C", str(tmp_path), "audit", "127.0.0.1:9/group/app:1").exit_code == ExitCode.COULD_NOT_ASK
    assert jc("audit", str(tmp_path / "none.sif")).exit_code == ExitCode.NOT_THERE
    assert jc("-C", str(tmp_path), "audit", "No Image").exit_code == ExitCode.USAGE


def test_a_file_that_is_too_large_is_told_and_the_others_are_looked_at(
    image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    image.compile("lib/libwide.so", WIDE, "-mavx512f")
    monkeypatch.setattr(auditing, "_LARGEST", 1)
    code, value = image.audit()
    assert (code, value["findings"]) == (0, [])
    assert value["not_looked_at"] == [f"/{PREFIX}/lib/libwide.so has 0 MiB, more than is read at once"]


def test_a_container_without_spack_is_told(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    path = sif_file(tmp_path / "x.sif", file_system(tmp_path / "root", tmp_path / "x.squashfs"))
    result = jc("audit", str(path))
    assert result.exit_code == 0
    assert "Spack installed nothing in this container" in result.stdout
