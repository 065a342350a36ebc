"""The script of an allocation that a compile pool runs in. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from job_creator.compile_pool.allocation.settings import PoolFile
from job_creator.scripts.rendering import render


def pool_script(settings: PoolFile, name: str, program: Sequence[str]) -> str:
    """What `sbatch` or `flux batch` takes. `program` is `jc`, as it is called on the nodes."""
    level = {"debug": ("-v",), "warning": (), "error": ("-q",)}[settings.log_level]
    ranks = settings.workers + 1
    pool = [*program, "compile-pool", "mpi", f"--ranks={ranks}", *level]
    if settings.scheduler == "slurm":
        # In turns over all nodes, so that what runs on the first one beside them has cores.
        pool += ["--launcher=srun", f"--pmi={settings.pmi}", "--launcher-option=--distribution=cyclic"]
    else:
        pool += ["--launcher=flux"]
    pool += [f"--launcher-option=--cpus-per-task={settings.worker_cores}"] if settings.scheduler == "slurm" else []
    pool += [f"--launcher-option=--cores-per-task={settings.worker_cores}"] if settings.scheduler == "flux" else []
    spack = [settings.spack, *(["-e", settings.environment] if settings.environment else []), "install"]
    spack += [f"-j{ranks + settings.head_cores}", *settings.specs]
    folder = settings.log_folder.rstrip("/") or "/"
    return render(
        "compile_pool.sh.j2",
        settings=settings,
        name=name,
        ranks=ranks,
        cores=ranks * settings.worker_cores + settings.head_cores,
        folder=folder,
        seconds=_seconds(settings.time),
        pool=shlex.join(pool),
        spack=shlex.join(spack),
    )


def _seconds(time: str) -> int:
    hours, minutes, seconds = map(int, time.split(":"))
    return 3600 * hours + 60 * minutes + seconds
