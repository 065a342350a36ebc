"""What a build is: one package of a concrete environment, whoever runs it.

Engines make of a `Step` what they run: GitLab a job, a workstation a process, Slurm a part of an allocation. Nothing
here knows of any of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from foundation.graph import BuildGraph
from foundation.spack.releases import SpackLine
from job_creator.builds.phases import Phases
from job_creator.site.runners import Resources


@dataclass(frozen=True, slots=True)
class Demand:
    """What building a package is expected to take: seconds, and what a machine has to offer for it."""

    seconds: float = 90.0
    resources: Resources = field(default_factory=Resources)


@dataclass(frozen=True, slots=True)
class Step:
    """Build this package of this environment with this command."""

    hash: str
    """DAG hash of the concrete spec."""
    package: str
    version: str
    """Empty where Spack did not say."""
    environment: str
    """The container whose concrete environment the command works in."""
    command: tuple[str, ...]
    """Lines of shell, run in order until one fails."""
    demand: Demand = Demand()

    def __str__(self) -> str:
        """`name@version /hash`, as Spack writes it."""
        return f"{self.named} /{self.hash}"

    @property
    def named(self) -> str:
        """`name@version`."""
        return f"{self.package}@{self.version}" if self.version else self.package


@dataclass(frozen=True, slots=True)
class EnvironmentBuilds:
    """What has to be built for one environment, and in which order."""

    environment: str
    path: str
    """The file that says so, for messages."""
    line: SpackLine | None
    """The Spack that wrote it; unknown where there was nothing to do."""
    steps: tuple[Step, ...] = ()
    needs: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """DAG hashes of the steps that Spack let each step wait for, by DAG hash."""
    graph: BuildGraph | None = None
    """What the lockfile says; `None` without one."""
    phases: Phases = field(default_factory=Phases)
    """The spec groups."""


Demands = Callable[[str], Demand]
"""What a package is expected to take, by its name."""


def nothing_known(package: str) -> Demand:
    """The demand of every package where neither site nor measurements say anything."""
    del package
    return Demand()
