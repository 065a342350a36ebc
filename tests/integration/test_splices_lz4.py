"""A real library: liblz4 1.10.0 made `LZ4F_createCDict` public, so that splices work in one direction alone.

`SPACKTAINERS_SOURCE_ARCHIVES` names a folder with the archives of both versions; Debian's `.orig.tar.gz` are right.
"""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from job_creator.__main__ import main
from tests.integration.components import require
from tests.integration.workshop import Workshop, runs_after
from tests.packed_cache import Package, fill

pytestmark = pytest.mark.usefixtures("components")

SOURCES = ("lz4.c", "lz4hc.c", "lz4frame.c", "xxhash.c")
NEW_CLIENT = """\
#include <stddef.h>
void *LZ4F_createCDict(const void *, size_t);
int main(void) { return LZ4F_createCDict("some text", 9) == NULL; }
"""
OLD_CLIENT = "int LZ4_compressBound(int);\nint main(void) { return LZ4_compressBound(1000) < 1000; }\n"


def archive(version: str) -> Path:
    folder = os.environ.get("SPACKTAINERS_SOURCE_ARCHIVES", "")
    found = sorted(Path(folder).glob(f"lz4*{version}*.tar.gz")) if folder else []
    if not found:
        pytest.skip("SPACKTAINERS_SOURCE_ARCHIVES has no archives of lz4 1.9.4 and 1.10.0")
    return found[0]


def library(workshop: Workshop, version: str) -> Package:
    sources = workshop.root / version
    with tarfile.open(archive(version)) as packed:
        packed.extractall(sources, filter="data")
    (folder,) = sources.glob("*/lib")
    package = workshop.package("lz4", version)
    options = [
        "-O1",
        "-g",
        "-shared",
        "-fPIC",
        "-fvisibility=hidden",
        "-DXXH_NAMESPACE=LZ4_",
        "-Wl,-soname,liblz4.so.1",
    ]
    target = package.prefix / "lib" / "liblz4.so.1"
    files = [str(folder / name) for name in SOURCES]
    subprocess.run([require("gcc"), *options, "-o", str(target), *files], check=True)
    (package.prefix / "lib" / "liblz4.so").symlink_to(target.name)
    return package


@pytest.mark.parametrize("types", [(), ("--symbols-only",)], ids=["types", "symbols"])
def test_forward_works_and_backward_does_not(types: tuple[str, ...], tmp_path: Path) -> None:
    if not types:
        require("abidiff")
    workshop = Workshop(tmp_path / "built")
    workshop.root.mkdir()
    old, new = library(workshop, "1.9.4"), library(workshop, "1.10.0")
    clients = {"forward": (old, new, OLD_CLIENT), "backward": (new, old, NEW_CLIENT)}
    found = {}
    for name, (built_with, other, source) in clients.items():
        client = workshop.package(name, "1.0", built_with)
        program = workshop.program(client, source, "-g", needs=["lz4"])
        cache = fill(tmp_path / f"cache of {name}", [old, new, client])
        asked = ["--mirror", str(cache), "--of", name, "--with", "lz4", "-d", str(tmp_path / name), "--json", *types]
        done = CliRunner().invoke(main, ["-q", "splices", "predict", *asked], catch_exceptions=False)
        (found[name],) = json.loads(done.stdout)
        assert runs_after(program, built_with, built_with)
        assert runs_after(program, built_with, other) == (name == "forward")
    assert (found["forward"]["verdict"], found["backward"]["verdict"]) == (1, -1)
    assert found["forward"]["confidence"] == ("symbols" if types else "types")
    assert [one["what"] for one in found["backward"]["missing"]] == ["LZ4F_createCDict"]
