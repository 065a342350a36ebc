"""`jc cluster`: an allocation of a scheduler that builds, and the machines in it."""

from __future__ import annotations

import os
import platform
import signal
import sys
import time
from pathlib import Path
from typing import Final

import click

from foundation.command_line import Command, Group, is_quiet
from foundation.errors import ExitCode
from job_creator.options import Options
from job_creator.runs.cli.launching import HOURS_OF_ALLOCATION, NODES, WITHIN, Launch, allocation_of
from job_creator.runs.cli.starting import start

_SECONDS_BETWEEN_LOOKS: Final = 0.5
_STARTS: Final = 5
"""How often a node of Ray is started that gives up at its start, as it does on a busy machine."""
_SECONDS_TO_START: Final = 120.0
"""A node that was there for so long has not given up; the run is over."""
_SECONDS_BETWEEN_SIGNALS: Final = 60.0
_GRACE: Final = 10.0
"""Seconds that a node has to end what it runs, when it is told to end."""


@click.group("cluster", cls=Group, exit_codes=())
def cluster() -> None:
    """Build in an allocation of a scheduler. On all of its nodes at once.

    \b
    Example:
      jc cluster scripts --scheduler slurm -N 16 -o allocation/ -- amd64/neuron --mirror s3://cache/amd64
    """


@cluster.command("scripts", cls=Command, exit_codes=(ExitCode.REFUSED,))
@click.option("--scheduler", type=click.Choice(sorted(WITHIN)), required=True, help="Who gives the nodes.")
@NODES
@click.option("--engine", help="Who runs the builds on them.  [default: ray for several nodes of Slurm, flux on Flux]")
@click.option(
    "--container",
    metavar="IMAGE.sif",
    type=click.Path(path_type=Path, exists=True),
    help="Build in a container of Apptainer or Singularity.",
)
@click.option("--bind", "binds", multiple=True, metavar="FOLDER", help="Let it be seen in there. May be repeated.")
@HOURS_OF_ALLOCATION
@click.option("--certificates", default="", metavar="FILE", help="More authorities to trust, as PEM.")
@click.option(
    "--submit-option",
    "submit_options",
    multiple=True,
    metavar="WORD",
    help="Say this to the scheduler as well, such as --partition=long. May be repeated.",
)
@click.option(
    "-o",
    "--out-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default="cluster",
    show_default=True,
    help="Where the scripts go: a folder that all nodes see.",
)
@click.argument("build", nargs=-1, required=True, metavar="-- WHAT 'jc build' IS TOLD")
@click.pass_obj
def scripts(
    options: Options,
    scheduler: str,
    nodes: int,
    engine: str | None,
    container: Path | None,
    binds: tuple[str, ...],
    allocation_hours: float,
    certificates: str,
    submit_options: tuple[str, ...],
    out_dir: Path,
    build: tuple[str, ...],
) -> None:
    """Write scripts that build in an allocation. Read them, change them, and submit them as the last line says.

    'jc build --launch' writes the same and submits it.

    \b
    Examples:
      jc cluster scripts --scheduler slurm -N 16 -- locks/ --mirror /p/lustre1/me/cache
      jc cluster scripts --scheduler flux -N 16 --container tools.sif --bind /p/lustre1/me
          -o ~/corpus -- locks/ --mirror /p/lustre1/me/cache -j 4
    """
    from job_creator.runs.machines.submission import write_scripts

    more = [*(["--container", str(container)] if container else []), *(f"--bind={one}" for one in binds)]
    more += ["--engine", engine] if engine else []
    inner = start.make_context("jc build", [*build, *more], parent=click.get_current_context())
    if inner.params["launch"]:
        raise click.UsageError("--launch: these scripts are what it submits; leave it out")
    launch = Launch(scheduler, nodes, allocation_hours, certificates, submit_options)
    allocation = allocation_of(inner, launch, out_dir, options)
    written = write_scripts(allocation)
    if not is_quiet():
        for path in written:
            click.echo(f"wrote {path}")
        click.echo(f"submit it with: {' '.join(allocation.submission)}")


@cluster.command("join", cls=Command, exit_codes=(ExitCode.NOT_READY, ExitCode.NOT_THERE, ExitCode.DAMAGED))
@click.argument("run", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--wait",
    type=click.FloatRange(0),
    default=1800.0,
    show_default=True,
    metavar="SECONDS",
    help="For the head, so long at most.",
)
@click.pass_obj
def join(options: Options, run: Path, wait: float) -> None:
    """Take part in a run, as a node of Ray. With all processors that this process may use, until the run ends.

    The run is one of 'jc build --engine ray --joined', whose folder this machine has to see.

    \b
    Example:
      jc cluster join /p/lustre1/me/corpus/run
    """
    from foundation.doors.processes import BackgroundProcess
    from foundation.errors import NotThereError
    from job_creator.engines.ray.cluster import joining
    from job_creator.runs.engines import of_ray

    until = time.monotonic() + wait
    cores = len(os.sched_getaffinity(0))
    while (node := joining(run.absolute(), cores)) is None:
        if time.monotonic() > until:
            raise NotThereError(f"{run}: has no head after {wait:g} s; does 'jc build --joined' run?")
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    argv, variables = node
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    log = run / f"ray-{platform.node()}-{os.getpid()}.log"
    environment = {**of_ray(options.environment), **variables}
    for _ in range(_STARTS):
        started = time.monotonic()
        process = BackgroundProcess(argv, environment=environment, log=log)
        try:
            while process.exit_code() is None:
                BackgroundProcess.wait([process], _SECONDS_BETWEEN_SIGNALS)
        finally:
            process.end(_GRACE)
        if time.monotonic() - started > _SECONDS_TO_START:
            return
