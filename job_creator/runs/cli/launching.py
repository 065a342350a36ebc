"""`jc build --launch`: the same build, in an allocation of a scheduler."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from click.core import ParameterSource

from foundation.errors import RefusedError

if TYPE_CHECKING:
    from job_creator.options import Options
    from job_creator.runs.machines.allocation import Allocation

WITHIN: Final = ("flux", "slurm")
"""The schedulers that give allocations."""
NODES: Final = click.option(
    "-N", "--nodes", type=click.IntRange(1), default=1, show_default=True, help="How many nodes are asked for."
)
HOURS_OF_ALLOCATION: Final = click.option(
    "--allocation-hours",
    type=click.FloatRange(0, min_open=True),
    default=24.0,
    show_default=True,
    help="For how long.",
)
_OF_LAUNCH: Final = ("launch", "nodes", "allocation_hours", "submit_options", "run_dir", "engine", "is_joined")
"""Options of `jc build` that are not handed on to the one in the allocation, or not as they are."""


@dataclass(frozen=True)
class Launch:
    """What is asked of a scheduler."""

    scheduler: str
    nodes: int
    hours: float
    certificates: str = ""
    options: tuple[str, ...] = ()


def launched(ctx: click.Context, options: Options) -> Iterator[str]:
    """Write the scripts for what this `jc build` was told, submit them, and say how to follow the run.

    Raises `RefusedError`, `CouldNotAskError`, and `NotReadyError` without the scheduler's command.
    """
    from job_creator.runs.machines import submission

    told = ctx.params
    launch = Launch(told["launch"], told["nodes"], told["allocation_hours"], options=told["submit_options"])
    run = told["run_dir"] or Path(time.strftime("jc-build-%Y%m%d-%H%M%S"))
    if (run / "run.json").exists():
        raise RefusedError(f"{run}: has a run in it already; name another folder with --run")
    allocation = allocation_of(ctx, launch, run / "scripts", options, run)
    submission.write_scripts(allocation)
    id_ = submission.submit(allocation)
    yield f"asked {allocation.scheduler} for {launch.nodes} nodes: {id_}"
    yield f"{allocation.log} tells what they do; so does 'jc build status {run}', once they have begun"


def allocation_of(
    ctx: click.Context, launch: Launch, folder: Path, options: Options, run: Path | None = None
) -> Allocation:
    """The allocation in which a `jc build` runs that was told what `ctx` has been.

    Raises `RefusedError` for an engine that cannot run there.
    """
    from job_creator.runs.machines.allocation import WITHIN as ENGINES_WITHIN
    from job_creator.runs.machines.allocation import Allocation

    possible = ENGINES_WITHIN[launch.scheduler]
    told = ctx.params["engine"] if ctx.get_parameter_source("engine") is ParameterSource.COMMANDLINE else ""
    usual = "flux" if launch.scheduler == "flux" else "local" if launch.nodes == 1 else "ray"
    engine = told or usual
    if engine not in possible:
        raise RefusedError(
            f"--engine {engine}: cannot build in an allocation of {launch.scheduler}; it can with {', '.join(possible)}"
        )
    if engine == "local" and launch.nodes > 1:
        raise RefusedError("--engine local: is for one node; say -N 1, or another engine")
    where = (run or ctx.params["run_dir"] or folder / "run").absolute()
    scratch = ctx.params["scratch"] or "/tmp"  # noqa: S108 - what nodes have; a run makes a folder of its own there
    own = ["--run", str(where), "--engine", engine, *(["--joined"] if engine == "ray" else [])]
    return Allocation(
        launch.scheduler,
        launch.nodes,
        engine,
        str(folder.absolute()),
        _program(options),
        (*_words(ctx), *own),
        str(where),
        launch.hours,
        launch.options,
        scratch,
        str(Path(launch.certificates).absolute()) if launch.certificates else "",
    )


def _program(options: Options) -> tuple[str, ...]:
    """This `jc`, with what all of its commands are told; all nodes see the same installation."""
    return (sys.executable, "-m", "job_creator", "-C", str(options.directory.absolute()), "--site", options.site_file)


def _words(ctx: click.Context) -> Iterator[str]:
    """What a `jc build` was told, as words again, with paths that hold wherever it is started."""
    for param in ctx.command.params:
        if not param.name or param.name in _OF_LAUNCH:
            continue
        if ctx.get_parameter_source(param.name) is not ParameterSource.COMMANDLINE:
            continue
        value = ctx.params[param.name]
        if isinstance(param, click.Argument):
            yield from map(_absolute, value)
        elif isinstance(param, click.Option) and param.is_flag:
            yield param.opts[-1]
        else:
            for one in value if param.multiple else (value,):
                yield f"{param.opts[-1]}={_absolute(one)}"


def _absolute(value: object) -> str:
    """A value as a word; what names something that is there, by its whole path."""
    path = Path(str(value))
    return str(path.absolute()) if path.exists() and ("/" in str(value) or isinstance(value, Path)) else str(value)
