"""The engine of Slurm with commands that only pretend: what Slurm rarely does, but does."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from foundation.errors import CouldNotAskError
from job_creator.builds.steps import Step
from job_creator.engines.engine import EndingKind, StepWork
from job_creator.engines.scheduler import SchedulerEngine, job_name, jobs_at_work
from job_creator.engines.slurm.jobs import Slurm

WORK = StepWork(Step("abcdefghij", "hdf5", "1.14", "neuron", ()), ("true",), Path("unused"))
NAME = job_name("mirror", WORK)


class Commands:
    """Makes `sbatch`, `squeue` and `scancel` say what a test wants; notes what they are told."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        for name in ("sbatch", "squeue", "scancel"):
            self.say(name, "")

    def say(self, name: str, answer: str, code: int = 0) -> None:
        path = self.folder / name
        stream = "2" if code else "1"
        path.write_text(f"#!/bin/sh\necho \"$@\" >> {path}.told\ncat >&{stream} <<'END'\n{answer}\nEND\nexit {code}\n")
        path.chmod(0o755)

    def told(self, name: str) -> list[str]:
        path = self.folder / f"{name}.told"
        return path.read_text().splitlines() if path.is_file() else []


@pytest.fixture(name="commands")
def commands_fixture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    return Commands(tmp_path, monkeypatch)


def submitted(commands: Commands, id_: str = "17") -> SchedulerEngine:
    engine = SchedulerEngine(Slurm(), "mirror", "/run", variables={"PATH": os.environ["PATH"]}, pause=0.01)
    commands.say("sbatch", id_)
    log = commands.folder / "attempt" / "log.txt"
    log.parent.mkdir(exist_ok=True)
    work = StepWork(WORK.step, ("true",), log)
    assert engine.submit(work, ()) == id_.partition(";")[0]
    return engine


def test_the_name_of_a_cluster_is_no_part_of_an_id(commands: Commands) -> None:
    engine = submitted(commands, "17;alps")
    commands.say("squeue", f"17|{NAME}|COMPLETED|None|/run")
    assert [(one.id, one.kind) for one in engine.poll(1)] == [("17", EndingKind.DONE)]
    assert list(engine.poll(0)) == []


@pytest.mark.parametrize("answer", ["", "17|of-somebody-else|RUNNING|None|x"])
def test_a_job_that_slurm_has_forgotten_is_lost(commands: Commands, answer: str) -> None:
    """A controller that was killed had forgotten two jobs, and gave their ids to others."""
    engine = submitted(commands)
    commands.say("squeue", answer)
    assert [(one.id, one.kind) for one in engine.poll(1)] == [("17", EndingKind.LOST)]
    assert commands.told("scancel") == []


def test_a_job_that_is_held_is_ended(commands: Commands) -> None:
    engine = submitted(commands)
    commands.say("squeue", f"17|{NAME}|PENDING|launch failed requeued held|/run")
    assert [one.kind for one in engine.poll(1)] == [EndingKind.LOST]
    assert commands.told("scancel") == ["17"]


def test_a_controller_that_is_restarted_is_waited_for(commands: Commands) -> None:
    engine = submitted(commands)
    commands.say("squeue", "slurm_load_jobs error: Unable to contact slurm controller", code=1)
    assert list(engine.poll(0.1)) == []
    engine._answered -= 10_000
    with pytest.raises(CouldNotAskError, match="Unable to contact"):
        list(engine.poll(20))


def test_a_limit_of_the_site_is_found_out(commands: Commands) -> None:
    engine = submitted(commands)
    commands.say("sbatch", "sbatch: error: AssocMaxSubmitJobLimit", code=1)
    work = StepWork(WORK.step, ("true",), commands.folder / "attempt" / "log.txt")
    assert engine.submit(work, ()) == ""
    assert engine.room(5) == 0


def test_what_slurm_refuses_is_told(commands: Commands) -> None:
    engine = submitted(commands)
    commands.say("sbatch", "sbatch: error: invalid partition specified: long", code=1)
    work = StepWork(WORK.step, ("true",), commands.folder / "attempt" / "log.txt")
    with pytest.raises(CouldNotAskError, match="invalid partition"):
        engine.submit(work, ())


def test_jobs_of_the_same_cache_are_known(commands: Commands) -> None:
    lines = [f"17|{NAME}|RUNNING|None|/run", f"18|{NAME}|COMPLETED|None|/run", "19|other|RUNNING|None|x"]
    commands.say("squeue", "\n".join(lines))
    assert [job.id for job in jobs_at_work(Slurm(), "mirror")] == ["17"]


def test_a_controller_is_asked_less_often_the_longer_nothing_happens(commands: Commands) -> None:
    """At most a tenth of the time that has passed is lost by that."""
    engine = submitted(commands)
    commands.say("squeue", f"17|{NAME}|RUNNING|None|/run")
    assert list(engine.poll(1)) == []
    # Ten times in the first tenth of a second, then each time a tenth later: without end, it would be a hundred.
    assert 1 <= len(commands.told("squeue")) < 60
    commands.say("squeue", f"17|{NAME}|COMPLETED|None|/run")
    assert [one.kind for one in engine.poll(5)] == [EndingKind.DONE]
