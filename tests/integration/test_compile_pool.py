"""`jc compile-pool` with real compilers and real ranks of MPI on this machine."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.ended import has_ended
from tests.integration.components import require

pytestmark = pytest.mark.xdist_group("compile pool")
JC = (sys.executable, "-m", "job_creator", "compile-pool")
SECTIONS = (".text", ".rodata", ".data", ".bss", ".init_array", ".eh_frame")
SOURCES = 8


@dataclass(frozen=True)
class Project:
    """Sources of C and C++ with a makefile, as automake writes one: dependencies are noted on the way."""

    folder: Path
    temporary: Path

    @property
    def environment(self) -> dict[str, str]:
        """What commands see."""
        return {**os.environ, "TMPDIR": str(self.temporary)}

    def make(self, *words: str, front: Sequence[str] = (), code: int = 0) -> str:
        """Run make, with something before it; what it prints."""
        argv = [*front, "make", "-j4", *words]
        done = subprocess.run(
            argv, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False, timeout=300
        )
        assert done.returncode == code, f"{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def pooled(self, *words: str, options: Sequence[str] = (), code: int = 0) -> list[dict[str, Any]]:
        """Run make with a pool of two ranks; what became of its commands."""
        log = self.folder / "compiles.jsonl"
        front = [*JC, "mpi", "-n", "3", "--launcher", "mpiexec", "--log", str(log), *options, "--"]
        self.make(*words, "LAUNCHER=ccache", front=front, code=code)
        assert not list(self.temporary.glob("jc-pool-*"))
        assert not list(self.folder.rglob("*.pool"))
        return lines_of(log)

    def objects(self) -> dict[str, dict[str, bytes]]:
        """The sections of all objects that a program is made of."""
        return {path.name: sections(path) for path in sorted(self.folder.glob("*.o"))}


@pytest.fixture(name="project")
def project_fixture(components: None, tmp_path: Path) -> Project:
    for program in ("g++", "gcc", "make", "objcopy", "readelf"):
        require(program)
    folder = tmp_path / "project"
    folder.mkdir()
    (tmp_path / "temporary").mkdir()
    (folder / "shared.h").write_text("#define SHARED 3\n")
    (folder / "own.h").write_text("#define OWN 4\n")
    for number in range(SOURCES):
        header = "own.h" if number == 0 else "shared.h"
        (folder / f"c{number}.c").write_text(
            f'#include <stdio.h>\n#include <assert.h>\n#include "{header}"\n'
            f"static int table[] = {{1, 2, {number}}};\n"
            f"int f{number}(int x) {{ assert(x); switch (x) {{ case 1: x++; /* fall through */ case 2: x--; }}\n"
            f'printf("%s:%d %d\\n", __FILE__, __LINE__, table[x % 3]); return x; }}\n'
        )
    (folder / "main.cpp").write_text(
        "#include <string>\n#include <vector>\nnamespace { struct Guard { Guard(); } guard; Guard::Guard() {} }\n"
        + "".join(f'extern "C" int f{number}(int);\n' for number in range(SOURCES))
        + "int main() { std::vector<std::string> all;\n"
        + "".join(f"all.push_back(std::to_string(f{number}(1)));\n" for number in range(SOURCES))
        + "return all.size() == 0; }\n"
    )
    (folder / "Makefile").write_text(
        "OBJECTS = $(patsubst %.c,%.o,$(wildcard *.c)) main.o\n"
        "FLAGS = -O2 -g -Wall -Wextra -Werror -ffile-prefix-map=$(CURDIR)=/source\n"
        "program: $(OBJECTS)\n\t$(LAUNCHER) g++ -o $@ $^\n"
        "%.o: %.c\n\t$(LAUNCHER) gcc $(FLAGS) -MD -MP -MF $*.Tpo -c -o $@ $<\n\tmv $*.Tpo $*.d\n"
        "%.o: %.cpp\n\t$(LAUNCHER) g++ $(FLAGS) -MD -MP -MF $*.Tpo -c -o $@ $<\n\tmv $*.Tpo $*.d\n"
        "clean:\n\trm -f *.o *.d program\n"
        "-include $(OBJECTS:.o=.d)\n"
    )
    return Project(folder, tmp_path / "temporary")


def lines_of(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


def sections(path: Path) -> dict[str, bytes]:
    found = {}
    for name in SECTIONS:
        copy = path.with_suffix(".section")
        copy.unlink(missing_ok=True)
        done = subprocess.run(
            ["objcopy", "-O", "binary", "--set-section-flags", f"{name}=alloc", "-j", name, str(path), str(copy)],
            capture_output=True,
            check=False,
        )
        found[name] = copy.read_bytes() if done.returncode == 0 and copy.exists() else b""
        copy.unlink(missing_ok=True)
    return found


def memory_of_ranks() -> set[str]:
    """The files in memory that killed ranks of MPICH leave."""
    return {path.name for path in Path("/dev/shm").glob("mpich_shm_*")}  # noqa: S108


def test_objects_and_dependencies_are_those_of_a_plain_build(project: Project) -> None:
    project.make()
    plain = project.objects()
    said = subprocess.run([project.folder / "program"], capture_output=True, check=True).stdout
    dependencies = {path.name: path.read_text() for path in project.folder.glob("*.d")}
    project.make("clean")
    done = project.pooled()
    compiles = [one for one in done if one["compile"]]
    assert Counter(one["rank"] is not None for one in compiles) == {True: SOURCES + 1}
    assert {one["rank"] for one in compiles} == {1, 2}
    assert project.objects() == plain
    assert all(one[".text"] for one in plain.values())
    assert {path.name: path.read_text() for path in project.folder.glob("*.d")} == dependencies
    assert subprocess.run([project.folder / "program"], capture_output=True, check=True).stdout == said
    # Exactly what reads a header is built again.
    (project.folder / "own.h").touch()
    assert [one["file"] for one in project.pooled() if one["compile"]] == ["c0.c"]


def test_debuggers_find_the_sources(project: Project) -> None:
    project.pooled("FLAGS=-g -O0")
    told = subprocess.run(
        ["readelf", "--debug-dump=info", "c1.o"], cwd=project.folder, capture_output=True, text=True, check=True
    ).stdout
    names = [line.rpartition(": ")[2].strip() for line in told.splitlines() if "DW_AT_name" in line]
    folders = [line.rpartition(": ")[2].strip() for line in told.splitlines() if "DW_AT_comp_dir" in line]
    assert names[0] == "c1.c"
    assert folders == [str(project.folder)]


def test_a_build_is_traced_without_ranks(project: Project) -> None:
    log, database = project.folder / "trace.jsonl", project.folder / "compile_commands.json"
    front = [*JC, "trace", "--log", str(log), "--database", str(database), "--"]
    project.make("LAUNCHER=ccache", front=front)
    assert (project.folder / "program").exists()
    assert {one["rank"] for one in lines_of(log)} == {None}
    found = json.loads(database.read_text())
    assert {one["file"] for one in found} == {"main.cpp", *(f"c{number}.c" for number in range(SOURCES))}
    assert {one["directory"] for one in found} == {str(project.folder)}


def test_errors_are_those_of_the_compiler_here(project: Project) -> None:
    (project.folder / "c3.c").write_text("int f3(int x) { return y; }\n")
    log = project.folder / "compiles.jsonl"
    front = [*JC, "mpi", "-n", "2", "--launcher", "mpiexec", "--log", str(log), "--"]
    said = project.make("LAUNCHER=ccache", front=front, code=2)
    assert "c3.c:1:24: error: " in said
    assert [one["why"] for one in lines_of(log) if one["file"] == "c3.c"] == ["ended with 1 on rank 1"]


@dataclass(frozen=True)
class Going:
    """A build with a pool that is going on."""

    process: subprocess.Popen[bytes]
    log: Path

    def ranks(self) -> list[int]:
        """The processes of ranks."""
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            try:
                words = (path / "cmdline").read_bytes().split(b"\0")
                variables = (path / "environ").read_bytes()
            except OSError:
                continue
            if any(word.endswith(b"/rank.py") for word in words) and b"mpiexec" not in words[0]:
                found += [int(path.name)] if str(self.log.parent).encode() in variables else []
        return sorted(found)

    def wait_for_lines(self, count: int) -> None:
        """Until so many commands are done."""
        end = time.monotonic() + 180
        while not self.log.exists() or len(self.log.read_text().splitlines()) < count:
            assert time.monotonic() < end
            assert self.process.poll() is None
            time.sleep(0.01)


@pytest.fixture(name="going")
def going_fixture(project: Project) -> Iterator[Going]:
    # Slow enough to be met on the way.
    for path in project.folder.glob("c*.c"):
        text = path.read_text()
        path.write_text(text + "".join(f"int {path.stem}_{i}(int x) {{ return x * {i} + {i}; }}\n" for i in range(300)))
    log = project.folder / "compiles.jsonl"
    command = [*JC, "mpi", "-n", "3", "--launcher", "mpiexec", "--seconds", "4", "--log", str(log), "--"]
    with (project.temporary / "said").open("wb") as said:
        process = subprocess.Popen(
            [*command, "make", "-j2", "LAUNCHER=ccache", "FLAGS=-O2 -g"],
            cwd=project.folder,
            env={**project.environment, "PROJECT": str(project.folder)},
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
    yield Going(process, log)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["dies", "hangs"])
def test_a_rank_that_dies_or_hangs_costs_only_time(project: Project, going: Going, number: int) -> None:
    before = memory_of_ranks()
    going.wait_for_lines(2)
    ranks = going.ranks()
    assert len(ranks) == 3
    os.kill(random.Random(0).choice(ranks), number)
    assert going.process.wait(timeout=240) == 0
    done = lines_of(going.log)
    assert len([one for one in done if one["compile"]]) == SOURCES + 1
    assert subprocess.run([project.folder / "program"], capture_output=True, check=True).stdout
    assert all(has_ended(rank) for rank in ranks)
    assert not list(project.temporary.glob("jc-pool-*"))
    # Pools of other tests have some for a moment.
    end = time.monotonic() + 20
    while memory_of_ranks() - before:
        assert time.monotonic() < end, memory_of_ranks() - before
        time.sleep(0.1)


def test_without_the_server_a_build_goes_on(project: Project, going: Going) -> None:
    going.wait_for_lines(2)
    ranks = going.ranks()
    os.kill(going.process.pid, signal.SIGKILL)
    end = time.monotonic() + 120
    while not (project.folder / "program").exists():
        assert time.monotonic() < end
        time.sleep(0.05)
    going.process.wait()
    assert all(has_ended(rank, seconds=60) for rank in ranks)


def test_what_is_built_at_once_shares_the_cores(components: None, tmp_path: Path) -> None:
    # As makes do it: take all that is there, and say how much that was.
    client = tmp_path / "client.py"
    client.write_text(
        "import os, re\n"
        "flags = os.environ['MAKEFLAGS']\n"
        "assert flags.startswith(' ')\n"
        "jobs, path = re.search(r'-j(\\d+) --jobserver-auth=fifo:(.*)', flags).groups()\n"
        "pipe = os.open(path, os.O_RDWR | os.O_NONBLOCK)\n"
        "tokens = os.read(pipe, 9999)\n"
        "os.write(pipe, tokens)\n"
        "assert len(tokens) == int(jobs) - 1\n"
        "print('jobs:', jobs)\n"
    )
    front = [*JC, "mpi", "-n", "3", "--launcher", "mpiexec", "--jobserver", "--"]
    done = subprocess.run(
        [*front, sys.executable, str(client)], capture_output=True, text=True, check=False, timeout=120, cwd=tmp_path
    )
    assert (done.returncode, done.stdout) == (0, f"jobs: {len(os.sched_getaffinity(0)) + 2}\n"), done.stderr


def test_two_pools_do_not_meet(project: Project, tmp_path: Path) -> None:
    log = tmp_path / "other.jsonl"
    (tmp_path / "b.c").write_text("int b;\n")
    other = [*JC, "mpi", "-n", "2", "--launcher", "mpiexec", "--log", str(log), "--", "ccache", "gcc", "-c", "b.c"]
    with subprocess.Popen(other, cwd=tmp_path, env=project.environment, stderr=subprocess.PIPE) as process:
        done = project.pooled()
        process.communicate(timeout=120)
    assert process.returncode == 0
    assert [one["rank"] for one in lines_of(log)] == [1]
    assert len([one for one in done if one["rank"] is not None]) == SOURCES + 1
