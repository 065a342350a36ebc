"""Whatever a compiler is asked for, with a pool it makes the same files. The rank is this process: no MPI is needed."""

from __future__ import annotations

import os
import subprocess
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from job_creator.compile_pool import rank
from job_creator.compile_pool.client import CHANGES
from job_creator.compile_pool.pool import PoolAnswer, PoolTask
from job_creator.compile_pool.server import PoolServer
from job_creator.compile_pool.workplace import client_words, socket_of
from tests.integration.components import require

HOSTILE = st.text(st.sampled_from(" ;'\"\n\\$`*%&|<>#@=,abü"), max_size=12)
"""What quoting and splitting of words goes wrong with."""
PLAIN_FLAGS = ("-O0", "-O1", "-O2", "-Os", "-g", "-fPIC", "-Wall", "-Wextra", "-std=gnu17", "-fno-common", "-pipe")
MORE_FLAGS = ("-ffunction-sections", "-fopenmp", "-pthread", "-DNDEBUG", "-Wno-unused", "-march=x86-64-v2")
HERE_FLAGS = ("-g3", "-march=native", "-save-temps=obj", "-fstack-usage")
"""Those of which two runs give the same, other than `-flto` and `--coverage`."""
SOURCE = """\
#include <string.h>
#include "names.h"
const char *text(void) { return TEXT; }
const char *file(void) { return __FILE__; }
int length(void) { return (int) strlen(TEXT) + VALUE; }
"""


class Rank:
    """The one rank of a pool: this process."""

    def compile(self, task: PoolTask, seconds: float) -> PoolAnswer:
        """Do what a rank does."""
        asked = {key: value for key, value in asdict(task).items() if key != "text"}
        told, made = rank.compiled({**asked, "seconds": seconds}, task.text)
        output, complaints, packed = made
        content = zlib.decompress(packed) if packed else b""
        return PoolAnswer(told["code"], told["why"], output=output, complaints=complaints, made=content)


@contextmanager
def served(folder: Path) -> Iterator[PoolServer]:
    os.environ[rank.NAME] = "jc-pool-test"
    try:
        with PoolServer(socket_of(folder), Rank(), folder / "log", 60.0) as server:
            yield server
    finally:
        del os.environ[rank.NAME]


def made_by(words: list[str], folder: Path) -> tuple[int, dict[str, bytes], str]:
    """Run a command in a new folder; its exit code, the files that it made, and what it said."""
    folder.mkdir()
    (folder / "so urce;.c").write_text(SOURCE)
    (folder / "names.h").write_text('#define VALUE 7\n#ifndef TEXT\n#define TEXT "none"\n#endif\n')
    before = set(folder.rglob("*"))
    environment = {key: value for key, value in os.environ.items() if key not in CHANGES}
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=120)
    files = {str(path.relative_to(folder)): path.read_bytes() for path in set(folder.rglob("*")) - before}
    return done.returncode, files, done.stderr


def stripped(files: dict[str, bytes], scratch: Path) -> dict[str, bytes]:
    """Objects without the columns of debug information, the one thing that preprocessing moves."""
    found = dict(files)
    for name, content in files.items():
        if content.startswith(b"\x7fELF"):
            path = scratch / "object"
            path.write_bytes(content)
            subprocess.run(["objcopy", "--strip-debug", str(path)], check=True)
            found[name] = path.read_bytes()
    return found


@pytest.mark.usefixtures("components")
@settings(max_examples=25)
@given(
    text=HOSTILE,
    flags=st.lists(st.sampled_from(PLAIN_FLAGS + MORE_FLAGS), max_size=4, unique=True),
    here=st.lists(st.sampled_from(HERE_FLAGS), max_size=1),
    output=st.sampled_from(["out put;.o", "sub'dir.o", "a.o", "x.lo"]),
    dependencies=st.sampled_from([[], ["-MD"], ["-MMD", "-MP"], ["-MD", "-MF", "de p;.d"], ["-MD", "-MT", "a b"]]),
)
def test_files_are_the_same_with_any_arguments(
    text: str, flags: list[str], here: list[str], output: str, dependencies: list[str]
) -> None:
    literal = '"' + "".join(f"\\{byte:03o}" for byte in text.encode()) + '"'
    compiler = require("gcc")
    arguments = [*flags, *here, f"-DTEXT={literal}", *dependencies, "-c", "so urce;.c", "-o", output]
    with tempfile.TemporaryDirectory() as name, served(Path(name)) as server:
        scratch = Path(name)
        # The same path for both, since some objects say where they were made.
        plain = made_by([compiler, *arguments], scratch / "f")
        (scratch / "f").rename(scratch / "plain")
        pooled = made_by([*client_words(scratch), compiler, *arguments], scratch / "f")
        assert pooled[0] == plain[0]
        assert pooled[2] == plain[2]
        assert plain[1].keys() == pooled[1].keys()
        assert stripped(pooled[1], scratch) == stripped(plain[1], scratch)
        assert set(server.counts) == ({"rank 0"} if not here else set(server.counts) - {"rank 0"})


def counts_of(folder: Path, words: list[str], **variables: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name, served(Path(name)) as server:
        environment = {**os.environ, **variables}
        subprocess.run([*client_words(Path(name)), *words], cwd=folder, env=environment, check=False, timeout=60)
        return dict(server.counts)


@pytest.mark.usefixtures("components")
def test_what_the_environment_or_the_text_changes_is_done_here(tmp_path: Path) -> None:
    (tmp_path / "a.c").write_text("int a;\n")
    (tmp_path / "data").write_text("x")
    (tmp_path / "b.c").write_text('__asm__(".incbin \\"data\\"");\n')
    gcc = require("gcc")
    script = tmp_path / "mycc"
    script.write_text(f'#!/bin/sh\nexec {gcc} "$@"\n')
    script.chmod(0o755)
    listed = {"DEPENDENCIES_OUTPUT": str(tmp_path / "deps")}
    assert list(counts_of(tmp_path, [gcc, "-c", "a.c"], **listed)) == ["is run with DEPENDENCIES_OUTPUT"]
    assert (tmp_path / "deps").exists()
    assert list(counts_of(tmp_path, [gcc, "-c", "b.c"])) == ["reads more files when it is compiled"]
    assert (tmp_path / "b.o").exists()
    assert "script" in next(iter(counts_of(tmp_path, [str(script), "-c", "a.c"])))
    (tmp_path / "link.o").symlink_to(tmp_path / "real.o")
    assert "plain file" in next(iter(counts_of(tmp_path, [gcc, "-c", "a.c", "-o", "link.o"])))
    assert (tmp_path / "real.o").exists()
    assert (tmp_path / "link.o").is_symlink()
    assert list(counts_of(tmp_path, ["gcc", "-c", "a.c"])) == ["rank 0"]


@pytest.mark.usefixtures("components")
def test_another_compiler_on_a_rank_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.c").write_text("int a;\n")
    real = rank.identity
    told = iter(["of the server", "of the rank"])
    monkeypatch.setattr(rank, "identity", lambda _: next(told))
    monkeypatch.setattr("job_creator.compile_pool.server.identity", lambda compiler: f"{real(compiler)}, of here")
    assert "of another compiler" in next(iter(counts_of(tmp_path, [require("gcc"), "-c", "a.c"])))
    assert (tmp_path / "a.o").exists()


def test_without_a_server_the_command_is_done_here(tmp_path: Path) -> None:
    words = [*client_words(tmp_path), "sh", "-c", "echo here; exit 7"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (7, "here\n")
    words = [*client_words(tmp_path), "no-such-compiler"]
    assert subprocess.run(words, capture_output=True, check=False).returncode == 127
