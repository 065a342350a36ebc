"""The scripts of an allocation: what a scheduler starts, what runs on each node, what both begin with. Pure."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from job_creator.scripts.rendering import render

ALLOCATION: Final = "allocation.sh"
WORKER: Final = "worker.sh"
SETUP: Final = "setup.sh"
WITHIN: Final[Mapping[str, tuple[str, ...]]] = {"flux": ("flux", "local", "ray"), "slurm": ("local", "ray")}
"""The engines that build in an allocation, by its scheduler; the usual one first for several nodes.

Slurm's own jobs are submitted from outside, and a Flux within Slurm has to be started by whoever knows the site.
"""


@dataclass(frozen=True)
class Allocation:
    """Nodes that are asked for as a whole, and what they are to do."""

    scheduler: str
    """One of `WITHIN`."""
    nodes: int
    engine: str
    """One of those in `WITHIN`."""
    folder: str
    """Where its scripts and logs are; a path that all nodes see."""
    program: tuple[str, ...]
    """`jc`, as it is called on all nodes."""
    build: tuple[str, ...]
    """What `jc build` is told."""
    run: str
    """The folder of the run."""
    hours: float = 24.0
    options: tuple[str, ...] = ()
    """More words for the scheduler, such as `--partition=long`."""
    scratch: str = "/tmp"  # noqa: S108 - what nodes have; a run makes a folder of its own there
    certificates: str = ""
    """A file of authorities to trust besides the usual ones."""

    @property
    def has_workers(self) -> bool:
        """Whether `jc cluster join` runs on each node."""
        return self.engine == "ray"

    @property
    def submission(self) -> tuple[str, ...]:
        """The command that asks for it."""
        script = f"{self.folder}/{ALLOCATION}"
        return ("sbatch", "--parsable", script) if self.scheduler == "slurm" else ("flux", "batch", script)

    @property
    def log(self) -> str:
        """What the allocation says."""
        return f"{self.folder}/allocation.log"

    def scripts(self) -> dict[str, str]:
        """Its scripts, by name."""
        values = {
            "allocation": self,
            "minutes": math.ceil(60 * self.hours),
            "jc": shlex.join(self.program),
            "build": shlex.join((*self.program, "build", *self.build)),
        }
        names = (SETUP, WORKER, ALLOCATION) if self.has_workers else (SETUP, ALLOCATION)
        return {name: render(f"cluster_{name}.j2", **values) for name in names}
