"""Compile pools of `jc build`: which packages get one, and the command that stands before their steps. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from job_creator.builds.durations import Durations
from job_creator.compile_pool.launchers import Launcher, launcher_here
from job_creator.site.runners import CompilePools

_LEAST_RANKS: Final = 2
_OF_ALLOCATIONS: Final = ("SLURM_", "FLUX_")
"""So begin the variables by which a launcher finds its allocation; a build sees none of them."""


@dataclass(frozen=True, slots=True)
class StepPools:
    """A pool of its own for each of some packages."""

    ranks: int
    """Of each pool; one of them only hands on."""
    launcher: Launcher
    pmi: str
    packages: frozenset[str]
    """Names of those that get one."""

    def ranks_for(self, package: str, halved: int = 0) -> int:
        """How many ranks compile a package, 0 without a pool; less of them after it ran out of memory."""
        return max(_LEAST_RANKS, self.ranks >> halved) if package in self.packages else 0

    def before(self, ranks: int, python: str, log: str) -> tuple[str, ...]:
        """The words that stand before the program of a step. `log` is the file that tells of each compile."""
        words = ("compile-pool", "mpi", f"--ranks={ranks}", f"--launcher={self.launcher}", f"--pmi={self.pmi}")
        return (python, "-m", "job_creator", *words, f"--log={log}", "--")


def packages_with_pools(site: CompilePools, durations: Durations) -> frozenset[str]:
    """What a site names, and what took long; what nobody measured counts only if it is named."""
    least = site.minutes * 60
    long = {name for name in durations.measured if durations.of_package(name) >= least}
    return frozenset(site.packages) | long


def launcher_for(engine: str, environment: Mapping[str, str]) -> Launcher:
    """What starts the ranks of a step: jobs of Slurm are allocations of their own."""
    return Launcher.SRUN if engine == "slurm" else launcher_here(environment)


def of_allocation(environment: Mapping[str, str]) -> dict[str, str]:
    """What a launcher has to see of an environment."""
    return {name: value for name, value in environment.items() if name.startswith(_OF_ALLOCATIONS)}
