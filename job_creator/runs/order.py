"""What a run is ordered to do, and the files that its workers get."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from foundation.errors import RefusedError
from foundation.graph import BuildGraph
from foundation.spack.releases import SpackLine
from foundation.stores.opening import url_of
from foundation.stores.schemes import FOLDER, kind_of, path_of
from job_creator.builds import node_step
from job_creator.builds.steps import Step
from job_creator.compile_pool.steps import StepPools, of_allocation
from job_creator.engines.engine import CORES, StepWork
from job_creator.environments.mirror_names import DESTINATION, SOURCE_MIRROR
from job_creator.runs.environments import MANIFEST, RunEnvironment
from job_creator.runs.folder import RunFolder
from job_creator.runs.plan import RunPlan
from job_creator.scripts.rendering import render

COMPILES: Final = "compiles.jsonl"
"""In the folder of an attempt: what became of the compiles of a package that has a pool."""
STEP_PROGRAM: Final = "run_step.py"
COLLECTING: Final = "collecting.py"
SCOPE: Final = "scope"
_PLACES: Final = (
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO"),
    *("SPACK_GNUPGHOME", "SPACK_USER_CONFIG_PATH", "SPACK_SYSTEM_CONFIG_PATH"),
)
"""What names a file or a folder, which has to be seen in a container as well."""
_VARIABLES: Final = (
    *("HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "LOGNAME", "TERM", "TMPDIR", "TZ", "USER"),
    *("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"),
    *("SPACK_PYTHON", "SPACK_DISABLE_LOCAL_CONFIG", "MAKEFLAGS", "S3_ENDPOINT_URL"),
    *_PLACES,
)
"""What a build sees of the environment of `jc build`, if it is set: nothing that a scheduler sets is among it."""
_OF_S3: Final = "AWS_"
"""So begins what boto3 reads, besides."""
_JOBSERVER_MAKE: Final = (4, 4)
_GIB: Final = 1 << 30


@dataclass(frozen=True)
class BuildOrder:
    """How the packages of a run are built, whichever engine runs it."""

    mirror: str
    """The build cache: a folder, bucket or registry."""
    spack: str
    """The program, by a path that is valid on all workers."""
    scopes: tuple[Path, ...]
    line: SpackLine
    engine: str
    cores: int = 1
    """Of the machine for the engine `local`, of each package for the others."""
    seconds: float = 12 * 3600.0
    """How long a package may take."""
    signed: bool = True
    endpoint: str = ""
    """The S3 server of the build cache, if it is not Amazon's."""
    sources: str = ""
    """The mirror of sources."""
    scratch: str = ""
    """Where workers have their folders; empty for `TMPDIR`, or /tmp."""
    least_free_bytes: int = 5 * _GIB
    submit_options: tuple[str, ...] = ()
    """More words for the scheduler's command."""
    most_jobs: int = 1000
    """How many jobs the scheduler is given at once."""
    is_joined: bool = False
    """Whether the machines that build join by themselves, instead of this one."""
    image: Path | None = None
    """The container in which packages are built."""
    binds: tuple[str, ...] = ()
    """What else is to be seen in it."""
    pools: StepPools | None = None
    """Which packages are compiled by pools."""
    collect: tuple[str, ...] = ()
    """What is collected of builds; see `job_creator/corpus`."""

    def seen(self, run: Path, variables: Mapping[str, str]) -> list[str]:
        """What a step needs to see: folders that are there, and `binds`. `variables` are those of the builds."""
        program = Path(self.spack).resolve()
        mirrors = [path_of(one) for one in (self.mirror, self.sources) if one and kind_of(one) is FOLDER]
        named = [variables[name] for name in _PLACES if name in variables]
        scratch = self.scratch or variables.get("TMPDIR") or "/tmp"  # noqa: S108 - the same as on workers
        paths = [run, program.parent.parent, Path(self.spack).parent, *self.scopes, *map(Path, (*mirrors, *named))]
        absolute = {str(path.absolute()) for path in (*paths, Path(scratch)) if path.exists()}
        return sorted(absolute - {"/", "/usr", "/usr/bin", "/bin"}) + list(self.binds)

    @property
    def mirrors(self) -> dict[str, Any]:
        """The section `mirrors` of Spack's configuration."""
        cache: dict[str, Any] = {"url": url_of(self.mirror)}
        if self.endpoint:
            cache["endpoint_url"] = self.endpoint
        if self.line.mirrors_can_be_unsigned:
            cache["signed"] = self.signed
        found = {DESTINATION: cache}
        if self.sources:
            found[SOURCE_MIRROR] = {"url": url_of(self.sources), "source": True, "binary": False}
        return found


def padded_length(environments: Mapping[str, RunEnvironment]) -> int:
    """How long install paths are made, in all of them. Raises `RefusedError` where they disagree."""
    lengths = {name: one.padded_length for name, one in environments.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name}: {length}" for name, length in sorted(lengths.items()))
        raise RefusedError(f"environments of one run need one 'padded_length' of their install_tree ({told})")
    return next(iter(lengths.values()))


def mirrors_file(order: BuildOrder) -> bytes:
    """A configuration of Spack in which the mirrors of a run are the only ones."""
    return json.dumps({"mirrors:": order.mirrors}).encode()


def files_of(
    run: str, order: BuildOrder, environments: Mapping[str, RunEnvironment], variables: Mapping[str, str]
) -> dict[str, bytes]:
    """The files that workers read, by their names in the folder of the run."""
    told = {
        "run": run,
        "spack": order.spack,
        "scopes": [str(scope.absolute()) for scope in order.scopes],
        "mirrors": order.mirrors,
        "signed": order.signed,
        "padded_length": padded_length(environments),
        "scratch": order.scratch,
        "least_free_bytes": order.least_free_bytes,
        "collect": list(order.collect),
        "variables": sorted(variables),
    }
    programs = (STEP_PROGRAM, COLLECTING, node_step.PROGRAM, *node_step.BESIDE)
    return {
        "order.json": json.dumps(told, indent=1).encode(),
        f"{SCOPE}/mirrors.yaml": mirrors_file(order),
        **{f"program/{name}": render(name).encode() for name in programs},
        **{f"environments/{name}/spack.lock": one.lock for name, one in environments.items()},
        **{f"environments/{name}/{MANIFEST}": one.manifest for name, one in environments.items()},
    }


def run_value(run: str, order: BuildOrder, plan: RunPlan) -> dict[str, Any]:
    """What `run.json` holds."""
    steps = [
        {
            "hash": step.hash,
            "package": step.package,
            "version": step.version,
            "environment": step.environment,
            "needs": sorted(plan.edges[step.hash]),
        }
        for step in plan.steps.values()
    ]
    return {
        "version": 1,
        "run": run,
        "engine": order.engine,
        "mirror": order.mirror,
        "present": plan.present,
        "external": plan.external,
        "steps": steps,
    }


def variables_of(environment: Mapping[str, str]) -> dict[str, str]:
    """What builds see of an environment."""
    return {name: value for name, value in environment.items() if name in _VARIABLES or name.startswith(_OF_S3)}


@dataclass(frozen=True)
class StepWorks:
    """Makes the work of steps. `python` is the interpreter of the program that builds them."""

    folder: RunFolder
    order: BuildOrder
    graph: BuildGraph
    python: tuple[str, ...]
    environment: Mapping[str, str]
    """All of the environment of the programs."""
    is_fresh: bool = False
    """Whether workers keep nothing from one step to the next."""
    around: Mapping[str, str] = field(default_factory=dict)
    """The environment of `jc build`, of which launchers of ranks need a part."""

    def __call__(self, step: Step, attempt: int, halved: int) -> StepWork:
        """The work of a step; see `driver.WorkOf`."""
        output = self.folder.attempt(step, attempt).absolute()
        pools = self.order.pools
        ranks = pools.ranks_for(step.package, halved) if pools else 0
        argv = (
            *(pools.before(ranks, sys.executable, str(output / COMPILES)) if pools and ranks else ()),
            *self.python,
            str(self.folder.path.absolute() / "program" / STEP_PROGRAM),
            *(str(self.folder.path.absolute()), step.environment, step.hash, str(output)),
            *("--engine", self.order.engine, "--cores", CORES, "--attempt", str(attempt)),
            *("--seconds", f"{self.order.seconds:.0f}"),
            *(("--fresh",) if self.is_fresh else ()),
            *(("--ranks", str(ranks)) if ranks else ()),
        )
        return StepWork(
            step,
            argv,
            output / "log.txt",
            max(1, self.order.cores >> halved),
            self.order.seconds,
            ranks=ranks,
            joins_jobserver=not halved and not ranks and joins_jobserver(self.graph, step.hash),
            environment={**self.environment, **of_allocation(self.around)} if ranks else self.environment,
        )


def joins_jobserver(graph: BuildGraph, hash_: str) -> bool:
    """Whether a package is built by GNU make 4.4 or newer and by nothing else that runs compilers beside each other."""
    needs = [graph.packages[need] for need in graph.edges[hash_]]
    makes = [need.version for need in needs if need.name == "gmake"]
    return bool(makes) and not any(need.name == "ninja" for need in needs) and all(map(_knows_pipes, makes))


def _knows_pipes(version: str) -> bool:
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())
    return numbers >= _JOBSERVER_MAKE
