"""What is told of the commands of compilers."""

from __future__ import annotations

import json

from job_creator.compile_pool.launchers import Launcher, launch, launcher_here
from job_creator.compile_pool.records import CompileRecord, compile_commands, summarize

DONE = CompileRecord("/b", ("gcc", "-c", "a.c"), "a.c", rank=2, text=900, shipped=300, came=200, seconds=0.5)
HERE = CompileRecord("/b", ("gcc", "-c", "-flto", "b.c"), why="is optimized at link time (-flto)")
LINK = CompileRecord("/b", ("gcc", "a.o"), why="makes no object", is_compile=False)


def test_all_lines_are_summed_up() -> None:
    lines = [one.line().encode() for one in (DONE, HERE, LINK, DONE)]
    found = summarize([*lines, b'{"cut o'])
    assert (found.ranks, found.reasons, found.others) == ({2: 2}, {HERE.why: 1}, 1)
    assert found.share == 2 / 3
    assert str(found).splitlines() == [
        "2 compiles on 1 ranks, 1 here, 1 other commands; 0.0 MiB were sent",
        f"  1 here: {HERE.why}",
    ]
    assert summarize([]).share is None


def test_a_compilation_database_has_all_sources_wherever_they_were_compiled() -> None:
    both = CompileRecord("/c", ("gcc", "x.c", "y.cc", "z.o", "-lm", "-o", "x"), is_compile=False)
    lines = [one.line().encode() for one in (DONE, HERE, LINK, both)]
    assert [(one["directory"], one["file"]) for one in compile_commands([*lines, b"{"])] == [
        *(("/b", "a.c"), ("/b", "b.c")),
        *(("/c", "x.c"), ("/c", "y.cc")),
    ]
    assert compile_commands(lines)[0]["arguments"] == ["gcc", "-c", "a.c"]
    assert json.loads(DONE.line())["rank"] == 2


def test_ranks_are_started_by_what_reaches_all_nodes() -> None:
    assert launcher_here({}) is Launcher.MPIEXEC
    assert launcher_here({"SLURM_JOB_ID": "1"}) is Launcher.SRUN
    assert launcher_here({"SLURM_JOB_ID": "1", "FLUX_URI": "x"}) is Launcher.FLUX
    assert launch(Launcher.MPIEXEC, "/m", 3, "pmi2", ["x"]) == ["/m", "-n", "3", "x"]
    # Without these, ranks that wait for one that is gone wait for ever.
    assert "--kill-on-bad-exit=1" in launch(Launcher.SRUN, "/s", 3, "pmix", ["x"])
    assert "--mpi=pmix" in launch(Launcher.SRUN, "/s", 3, "pmix", ["x"])
    assert "--setopt=exit-on-error" in launch(Launcher.FLUX, "/f", 3, "pmi2", ["x"])
