"""`jc packages lock` with a Spack that has no solver: lockfiles and failures, kills, and what a second run does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from foundation.errors import ExitCode
from foundation.spack.lockfile import read_lockfile
from tests.commands import jc
from tests.fakes.solving_spack import solving_spack
from tests.integration.slurm import private_slurm
from tests.samples import SITE, TEMPLATE, write_repository

APART = "  concretizer: {unify: false}\n"
GOOD = [f"package-{number}" for number in range(47)]
BAD = ["impossible-one@9", "nosuch-one", "slow-one"]


class Lists:
    """A repository with a definition, and the Spack."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root, self.locks = folder / "repository", folder / "locks"
        self.spack = solving_spack(folder / "spack")

    def write(self, specs: list[Any], more: str = APART) -> None:
        text = f"spack:\n  specs: {json.dumps(specs)}\n{more}spacktainer: {{build_only: true}}\n"
        write_repository(self.root, {"spack.yaml": TEMPLATE, "container_definitions/amd64/corpus.yaml": text}, SITE)

    def command(self, *more: str) -> list[str]:
        words = ["-C", str(self.root), "packages", "lock", "amd64/corpus", "-o", str(self.locks)]
        return [*words, "--spack", str(self.spack), "--jobs", "2", *more]

    def lock(self, *more: str) -> dict[str, Any]:
        done = jc(*self.command("--json", *more))
        assert done.exit_code == ExitCode.OK, done.output
        value: dict[str, Any] = json.loads(done.stdout)
        return value

    @property
    def names(self) -> set[str]:
        return {path.stem for path in self.locks.glob("*.lock")}

    @property
    def failures(self) -> dict[str, Mapping[str, Any]]:
        lines = (self.locks / "failures.jsonl").read_text().splitlines()
        return {value["name"]: value for value in map(json.loads, lines)}

    @property
    def solves(self) -> list[tuple[int, bool, list[str], Any]]:
        path = self.folder / "spack" / "solves"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


@pytest.fixture
def lists(tmp_path: Path) -> Lists:
    return Lists(tmp_path)


def test_47_of_50_are_locked_and_three_fail_each_in_a_class_of_its_own(lists: Lists) -> None:
    lists.write([*GOOD, *BAD])
    found = lists.lock("--timeout", "1")
    assert found == {
        "folder": str(lists.locks),
        "locked": 47,
        "present": 0,
        "failed": {"time-out": 1, "unknown": 1, "unsatisfiable": 1},
    }
    assert lists.names == set(GOOD)
    for path in lists.locks.glob("*.lock"):
        assert read_lockfile(path.read_bytes(), str(path)).root_texts == (path.stem,)
    failures = {tuple(one["specs"]): one for one in lists.failures.values()}
    assert {specs: one["class"] for specs, one in failures.items()} == {
        ("impossible-one@9",): "unsatisfiable",
        ("nosuch-one",): "unknown",
        ("slow-one",): "time-out",
    }
    assert failures["impossible-one@9",]["message"] == "cannot satisfy impossible-one@9 with https://example.org"
    assert failures["slow-one",]["message"] == "not concretized within 1 seconds"
    assert failures["slow-one",]["seconds"] >= 1
    # Few processes did all that, each with a cache that one had made.
    assert len({process for process, _, _, _ in lists.solves}) <= 3
    assert all(was_warm and unify is True for _, was_warm, _, unify in lists.solves)
    assert (lists.folder / "spack" / "warmed").read_text() == "once\n"
    assert {path.name for path in lists.locks.iterdir()} == {
        *(f"{name}.lock" for name in GOOD),
        "failures.jsonl",
        "locks.json",
        "spack.yaml",
    }

    # Nothing is left to do, and nothing is done.
    solved = len(lists.solves)
    assert lists.lock()["locked"] == 0
    assert len(lists.solves) == solved
    assert len(lists.failures) == 3


def test_after_a_kill_only_what_is_missing_is_solved(lists: Lists) -> None:
    lists.write([*GOOD, *BAD[:2]])
    command = [sys.executable, "-m", "job_creator", *lists.command()]
    environment = {**os.environ, "SOLVING_SECONDS": "0.1"}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while len(lists.names) < 15 and time.monotonic() < until:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    time.sleep(0.5)
    first = lists.names
    assert 15 <= len(first) < 45
    with (lists.locks / "failures.jsonl").open("ab") as stream:
        stream.write(b'{"name": "cut o')
    known, before = set(lists_of(lists)), len(lists.solves)
    found = lists.lock()
    assert found["present"] == len(first)
    assert found["locked"] == 47 - len(first)
    solved = [one for _, _, specs, _ in lists.solves[before:] for one in specs]
    assert len(solved) == len(set(solved))
    assert set(solved) == {*GOOD, *BAD[:2]} - first - known
    assert found["failed"] == {"unknown": 1, "unsatisfiable": 1}


def lists_of(lists: Lists) -> list[str]:
    """The specs that have failed, as far as the file says."""
    lines = (lists.locks / "failures.jsonl").read_bytes().split(b"\n")[:-1]
    return [spec for line in lines for spec in json.loads(line)["specs"]]


def test_a_worker_that_dies_keeps_nothing_else_from_its_lockfile(lists: Lists) -> None:
    lists.write(["first", "dying-one", "second", "dying-two", "third"])
    found = lists.lock("--jobs", "1")
    assert (found["locked"], found["failed"]) == (3, {"crash": 2})
    assert "ended too early" in lists.failures["dying-one"]["message"]
    assert lists.lock("--again", "crash")["failed"] == {"crash": 2}
    assert [specs for _, _, specs, _ in lists.solves].count(["dying-one"]) == 2
    assert [specs for _, _, specs, _ in lists.solves].count(["first"]) == 1


def test_what_spack_starts_of_its_own_is_waited_for_and_ends_with_it(lists: Lists) -> None:
    lists.write(["first", "forking-one", "slow-one", "last"])
    found = lists.lock("--timeout", "5", "--jobs", "1")
    assert (found["locked"], found["failed"]) == (3, {"time-out": 1})
    assert {process for process, _, _, _ in lists.solves}.isdisjoint(running_sessions())


def running_sessions() -> Iterator[int]:
    """The sessions of all processes of this machine that have not ended."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, _, session, *_ = path.read_text().rpartition(")")[2].split()
            if state != "Z":
                yield int(session)


def test_what_unifies_is_one_lockfile_and_lists_are_resolved(lists: Lists) -> None:
    matrix = {"matrix": [["hdf5"], ["+mpi", "~mpi"]]}
    lists.write(["zlib", matrix], more="")
    assert lists.lock()["locked"] == 1
    (lock,) = lists.locks.glob("*.lock")
    assert lock.name == "corpus.lock"
    assert read_lockfile(lock.read_bytes(), "").root_texts == ("zlib", "hdf5 +mpi", "hdf5 ~mpi")


def test_each_combination_of_a_matrix_has_a_name_of_its_own(lists: Lists) -> None:
    lists.write(["zlib", {"matrix": [["hdf5"], ["+mpi", "~mpi"]]}])
    assert lists.lock()["locked"] == 3
    listed = json.loads((lists.locks / "locks.json").read_text())["locks"]
    assert set(listed) == lists.names
    assert [specs for specs in listed.values() if len(listed) == 3] == [["zlib"], ["hdf5 +mpi"], ["hdf5 ~mpi"]]
    assert all(name == "zlib" or name.startswith("hdf5_mpi-") for name in listed)


def test_a_folder_is_of_one_list(lists: Lists) -> None:
    lists.write(["zlib"])
    lists.lock()
    lists.write(["zlib", "bzip2"])
    assert lists.lock()["present"] == 1
    lists.write(["zlib"], more=f"{APART}  packages: {{zlib: {{variants: +pic}}}}\n")
    done = jc(*lists.command())
    assert done.exit_code == ExitCode.REFUSED
    assert "is of amd64/corpus as it was, or of another Spack" in done.stderr


def test_where_nothing_can_be_concretized_the_first_reason_is_said(lists: Lists) -> None:
    lists.write(["nosuch-one"])
    done = jc(*lists.command())
    assert done.exit_code == ExitCode.NOT_READY
    assert "nothing could be concretized; nosuch-one: Package 'nosuch-one' not found." in done.stderr


def test_one_run_at_a_time_works_in_a_folder(lists: Lists) -> None:
    lists.write(["slow-one", "zlib"])
    command = [sys.executable, "-m", "job_creator", *lists.command()]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 60
        while not lists.names and time.monotonic() < until:
            time.sleep(0.02)
        done = jc(*lists.command())
        assert done.exit_code == ExitCode.NOT_READY
        assert "another run is at work here" in done.stderr
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(20) != 0


@pytest.mark.usefixtures("components")
@pytest.mark.xdist_group("slurm")
def test_workers_are_jobs_of_slurm_on_all_nodes(lists: Lists, tmp_path: Path) -> None:
    """Also the one that has to be ended, with what it has started."""
    lists.write([*GOOD[:20], *BAD])
    with private_slurm(tmp_path / "slurm") as slurm:
        environment = {**os.environ, **slurm.environment}
        words = lists.command("--json", "--engine", "slurm", "--jobs", "4", "--timeout", "5")
        done = subprocess.run(
            [sys.executable, "-m", "job_creator", *words], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        assert (told["locked"], told["failed"]) == (20, {"time-out": 1, "unknown": 1, "unsatisfiable": 1})
        until = time.monotonic() + 60
        while slurm.run("squeue", "--noheader"):
            assert time.monotonic() < until
            time.sleep(0.2)
        used = slurm.run("scontrol", "show", "jobs")
        assert "NodeList=n1" in used
        assert "NodeList=n2" in used
    assert {process for process, _, _, _ in lists.solves}.isdisjoint(running_sessions())
