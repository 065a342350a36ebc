"""Runs a command with a pool beside it."""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Final

from foundation.doors.files import read_file, write_files
from foundation.doors.machine import seen_by_others
from foundation.doors.processes import foreground, missing
from foundation.errors import NotReadyError
from job_creator.compile_pool.commands import HereOnly, PooledCompile
from job_creator.compile_pool.launchers import Launcher, launch
from job_creator.compile_pool.pool import CompilePool
from job_creator.compile_pool.records import PoolSummary, compile_commands, summarize
from job_creator.compile_pool.server import AskedCompile, PoolServer
from job_creator.compile_pool.workplace import (
    client_words,
    pool_folder,
    socket_of,
    surroundings,
    with_ccache,
    write_front,
)
from job_creator.engines.local.jobserver import Jobserver

RANK: Final = Path(__file__).with_name("rank.py")
_LINES: Final = "compiles.jsonl"
_SAID: Final = "ranks.log"
_START_SECONDS: Final = 60.0
"""After which the command starts without ranks; they may still come."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """A pool of ranks."""

    ranks: int
    """One of which only hands on."""
    launcher: Launcher
    pmi: str
    seconds: float
    """For one compile."""
    launcher_options: tuple[str, ...] = ()
    """More words for the launcher."""
    jobserver: bool = False
    """Whether the command and all that it starts share the cores by a jobserver of GNU make."""


def require_mpi(launcher: Launcher) -> str:
    """The path of a launcher. Raises `NotReadyError` where that, or mpi4py, is not installed."""
    if importlib.util.find_spec("mpi4py") is None:
        raise NotReadyError("mpi4py: is not installed; install the extra mpi: pip install 'spacktainers[mpi]'")
    # The one that came with our own mpi4py first: another one's ranks might not find each other.
    beside = Path(sys.executable).with_name(launcher.value)
    program = str(beside) if launcher is Launcher.MPIEXEC and beside.is_file() else shutil.which(launcher)
    if program is None:
        raise missing(launcher)
    return program


def run_with_ranks(
    settings: PoolSettings, command: Sequence[str], environment: Mapping[str, str], log: Path | None
) -> tuple[int, PoolSummary]:
    """Run a command, its compiles on ranks; its exit code, and what became of the compiles.

    Raises `NotReadyError` where ranks cannot be started, `FileAccessError`.
    """
    program = require_mpi(settings.launcher)
    with pool_folder() as folder:
        lines = _new_log(log, folder)
        words = [*settings.launcher_options, sys.executable, str(RANK)]
        started = launch(settings.launcher, program, settings.ranks, settings.pmi, words)
        host = "127.0.0.1" if settings.launcher is Launcher.MPIEXEC else seen_by_others()
        with (
            CompilePool(started, {**_of_wheels(), **environment}, folder / _SAID, host=host) as pool,
            PoolServer(socket_of(folder), pool, lines, settings.seconds),
        ):
            if not pool.wait_for_ranks(_START_SECONDS):
                logger.warning("no ranks yet after %g seconds: %s", _START_SECONDS, _last_words(folder / _SAID))
            elif pool.ranks == 0:
                raise NotReadyError("each rank is alone, so there is none to compile; try another --pmi")
            with _shared_cores(settings, folder) as flags:
                code = _run(command, folder, {**environment, **flags})
        return code, summarize(read_file(lines).splitlines())


def run_and_trace(
    command: Sequence[str], environment: Mapping[str, str], log: Path | None, database: Path | None
) -> int:
    """Run a command, and write down what it asks of compilers; its exit code. Raises `FileAccessError`."""
    with pool_folder() as folder:
        lines = _new_log(log, folder)
        with PoolServer(socket_of(folder), None, lines, 0.0):
            code = _run(command, folder, environment)
        if database:
            value = json.dumps(compile_commands(read_file(lines).splitlines()), indent=1)
            write_files(database.absolute().parent, {database.name: f"{value}\n".encode()})
    return code


def explain(command: Sequence[str], folder: str, environment: Mapping[str, str]) -> PooledCompile | HereOnly:
    """Where a command of a compiler would be done."""
    program = shutil.which(command[0], path=environment.get("PATH")) or command[0]
    return AskedCompile(folder, environment, (program, *command[1:])).where()


@contextmanager
def _shared_cores(settings: PoolSettings, folder: Path) -> Iterator[dict[str, str]]:
    """What a command sees, so that whatever makes it starts have as many compilers at work together as there are cores.

    Those of this machine preprocess and link; each rank but the first one compiles.
    """
    if not settings.jobserver:
        yield {}
        return
    server = Jobserver(folder / "jobserver", len(os.sched_getaffinity(0)) + settings.ranks - 1)
    # The first one is the command's own: each make has one that nobody gave to it.
    server.take()
    try:
        yield {"MAKEFLAGS": server.makeflags}
    finally:
        server.close()


def _new_log(log: Path | None, folder: Path) -> Path:
    """An empty file for what becomes of each command of a compiler."""
    lines = log.absolute() if log else folder / _LINES
    write_files(lines.parent, {lines.name: b""})
    return lines


def _run(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> int:
    """Run a command whose compiles go to the server in a folder; its exit code."""
    front = write_front(folder, client_words(folder))
    return foreground(with_ccache(command), environment=surroundings(front, environment))


def _of_wheels() -> Mapping[str, str]:
    """What the MPICH of the extra is told; nothing where the site has an MPI of its own.

    With all the ways through a network that it knows, addresses of ranks are longer than what Slurm's pmi2 passes on at
    once; now and then it cuts them in two, and no rank starts. Compiles are small: TCP does.
    """
    try:
        distribution("mpich")
    except PackageNotFoundError:
        return {}
    return {"UCX_TLS": "tcp,self,posix", "UCX_ADDRESS_DEBUG_INFO": "n"}


def _last_words(path: Path) -> str:
    lines = read_file(path).decode(errors="replace").splitlines() if path.is_file() else []
    return " | ".join(lines[-4:]) or "they say nothing"
