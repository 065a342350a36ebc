"""Steps as processes of this machine."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from job_creator.builds.steps import Step
from job_creator.engines.engine import EndingKind, StepEnding, StepWork
from job_creator.engines.local.engine import LocalEngine
from job_creator.engines.local.jobserver import Jobserver
from tests.ended import has_ended

STEP = Step("abc", "hdf5", "1.14", "neuron", ())


@pytest.fixture(name="engine")
def engine_fixture(tmp_path: Path) -> Iterator[LocalEngine]:
    engine = LocalEngine(4, tmp_path / "pipe")
    yield engine
    engine.close()
    assert not (tmp_path / "pipe").exists()


def work(folder: Path, code: str, *, cores: int = 4, joins: bool = False, seconds: float = 60.0) -> StepWork:
    argv = (sys.executable, "-SEc", code, "{cores}")
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"]}
    return StepWork(STEP, argv, folder / "log", cores, seconds, joins, environment)


def ended(engine: LocalEngine, count: int = 1) -> list[StepEnding]:
    found: list[StepEnding] = []
    until = time.monotonic() + 30
    while len(found) < count and time.monotonic() < until:
        found += engine.poll(1.0)
    return found


def start(engine: LocalEngine, one: StepWork, waiting: int = 1) -> str:
    assert engine.room(waiting) == 1
    return engine.submit(one, ())


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("pass", EndingKind.DONE),
        ("raise SystemExit(3)", EndingKind.FAILED),
        ("import os; os.kill(os.getpid(), 9)", EndingKind.LOST),
    ],
)
def test_how_a_process_ended_is_told(engine: LocalEngine, tmp_path: Path, code: str, kind: EndingKind) -> None:
    id_ = start(engine, work(tmp_path, code))
    assert [(one.id, one.kind) for one in ended(engine)] == [(id_, kind)]


def test_what_it_prints_is_its_log_and_it_sees_only_its_environment(engine: LocalEngine, tmp_path: Path) -> None:
    start(engine, work(tmp_path, "import os, sys; print(sorted(os.environ), flush=True); print('no', file=sys.stderr)"))
    ended(engine)
    # Python sets LC_CTYPE itself where no locale is named.
    assert (tmp_path / "log").read_text().replace("'LC_CTYPE', ", "") == "['HOME', 'PATH']\nno\n"


@pytest.mark.parametrize(
    ("waiting", "wanted", "expected"), [(1, 8, "4"), (2, 8, "2"), (4, 8, "1"), (9, 8, "1"), (1, 2, "2")]
)
def test_cores_are_shared_out(engine: LocalEngine, tmp_path: Path, waiting: int, wanted: int, expected: str) -> None:
    start(engine, work(tmp_path, "import sys; print(sys.argv[1])", cores=wanted), waiting)
    ended(engine)
    assert (tmp_path / "log").read_text() == f"{expected}\n"


def test_never_more_cores_are_held_than_there_are(engine: LocalEngine, tmp_path: Path) -> None:
    code = "import sys; sys.stdin.read(); import time; time.sleep(0.3)"
    start(engine, work(tmp_path, code), 2)
    start(engine, work(tmp_path, code), 1)
    assert engine.room(5) == 0
    assert len(ended(engine, 2)) == 2
    assert engine.room(5) == 1


def test_a_step_of_the_jobserver_holds_one_core_and_sees_the_pipe(engine: LocalEngine, tmp_path: Path) -> None:
    code = """
import os, re
flags = os.environ["MAKEFLAGS"]
pipe = os.open(re.search("fifo:(.*)", flags)[1], os.O_RDWR | os.O_NONBLOCK)
got = 0
try:
    while os.read(pipe, 1):
        got += 1
except BlockingIOError:
    pass
os.write(pipe, b"+" * got)
print(flags.split()[0], got)
"""
    start(engine, work(tmp_path, code, joins=True), 1)
    ended(engine)
    assert (tmp_path / "log").read_text() == "-j4 3\n"
    assert engine.room(1) == 1


def test_cores_that_a_killed_make_took_along_come_back(tmp_path: Path) -> None:
    server = Jobserver(tmp_path / "pipe", 3)
    assert [server.take() for _ in range(4)] == [True, True, True, False]
    server.fill()
    assert [server.take() for _ in range(4)] == [True, True, True, False]
    server.close()


def test_what_is_cancelled_ends_with_all_that_it_started(engine: LocalEngine, tmp_path: Path) -> None:
    code = "import subprocess, time; print(subprocess.Popen(['sleep', '60']).pid, flush=True); time.sleep(60)"
    id_ = start(engine, work(tmp_path, code))
    until = time.monotonic() + 20
    while not (tmp_path / "log").read_text().strip() and time.monotonic() < until:
        time.sleep(0.01)
    engine.cancel([id_, "no such"])
    assert [one.kind for one in ended(engine)] == [EndingKind.LOST]
    assert has_ended(int((tmp_path / "log").read_text()))
