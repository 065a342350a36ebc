"""How ranks are started: by mpiexec, Slurm or Flux. Pure.

Sources: the manual pages of mpiexec (MPICH), srun and flux-run. All of them end every rank when one dies: a rank that
waits for another one that is gone would wait for ever.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final


class Launcher(StrEnum):
    """What starts ranks."""

    MPIEXEC = "mpiexec"
    SRUN = "srun"
    FLUX = "flux"


_MARKS: Final = {"SLURM_JOB_ID": Launcher.SRUN, "FLUX_URI": Launcher.FLUX}
"""Variables of allocations. Flux may run within one of Slurm, so it is looked for first."""


def launcher_here(environment: Mapping[str, str]) -> Launcher:
    """The one that reaches all nodes of the allocation that this process is in."""
    found = [launcher for name, launcher in reversed(_MARKS.items()) if name in environment]
    return found[0] if found else Launcher.MPIEXEC


def launch(launcher: Launcher, program: str, ranks: int, pmi: str, command: Sequence[str]) -> list[str]:
    """The command that starts so many ranks of a command. `program` is the launcher's path.

    `pmi` is how ranks of Slurm find each other; without the right one, each is alone.
    """
    match launcher:
        case Launcher.SRUN:
            # Overlapping, since the command that is to be sped up may be a step of the same job.
            more = [f"--ntasks={ranks}", "--kill-on-bad-exit=1", f"--mpi={pmi}", "--overlap", "--export=ALL"]
            return [program, *more, *command]
        case Launcher.FLUX:
            return [program, "run", f"--ntasks={ranks}", "--setopt=exit-on-error", *command]
        case Launcher.MPIEXEC:
            return [program, "-n", str(ranks), *command]
