"""Which packages of `jc build` get a compile pool, and what stands before their steps."""

from __future__ import annotations

from job_creator.builds.durations import default_durations, read_durations
from job_creator.compile_pool.launchers import Launcher
from job_creator.compile_pool.steps import StepPools, launcher_for, of_allocation, packages_with_pools
from job_creator.site.runners import CompilePools

MEASURED = read_durations(b'{"llvm": 5400, "zlib": 20, "hdf5": 1800}', "durations.json")


def test_packages_are_named_or_took_long() -> None:
    assert packages_with_pools(CompilePools(packages=("zlib",)), MEASURED) == {"zlib", "llvm", "hdf5"}
    assert packages_with_pools(CompilePools(minutes=31), MEASURED) == {"llvm"}


def test_guesses_give_nobody_a_pool() -> None:
    assert default_durations().of_package("llvm") > 1800
    assert packages_with_pools(CompilePools(), default_durations()) == frozenset()


def test_what_ran_out_of_memory_has_less_ranks() -> None:
    pools = StepPools(64, Launcher.SRUN, "pmix", frozenset({"llvm"}))
    assert [pools.ranks_for("llvm", halved) for halved in (0, 1, 9)] == [64, 32, 2]
    assert pools.ranks_for("zlib") == 0
    assert pools.before(32, "python", "/run/log")[-6:] == (
        *("mpi", "--ranks=32", "--launcher=srun", "--pmi=pmix", "--log=/run/log", "--"),
    )


def test_ranks_are_started_by_who_gave_the_allocation() -> None:
    inside = {"SLURM_JOB_ID": "7", "FLUX_URI": "local:///x", "SECRET": "x"}
    assert launcher_for("slurm", {}) is Launcher.SRUN
    assert launcher_for("local", {}) is Launcher.MPIEXEC
    assert launcher_for("local", inside) is Launcher.FLUX
    assert of_allocation(inside) == {"SLURM_JOB_ID": "7", "FLUX_URI": "local:///x"}
