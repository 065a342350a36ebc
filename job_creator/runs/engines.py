"""The engines that `jc build` knows: how each is opened, and what else is to be known of one."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from foundation.errors import NotThereError, RefusedError

if TYPE_CHECKING:
    # The help names the engines, and needs none of these.
    from job_creator.engines.engine import StepEngine
    from job_creator.runs.folder import RunFolder
    from job_creator.runs.order import BuildOrder

    Opener = Callable[[BuildOrder, RunFolder, Mapping[str, str]], StepEngine]

_OF_RAY: Final = ("HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "USER")
"""What the processes of a cluster see; each step has an environment of its own."""


def _local(order: BuildOrder, folder: RunFolder, environment: Mapping[str, str]) -> StepEngine:
    del environment
    from job_creator.engines.local.engine import LocalEngine

    return LocalEngine(order.cores, folder.path / "jobserver")


def _slurm(order: BuildOrder, folder: RunFolder, environment: Mapping[str, str]) -> StepEngine:
    from job_creator.engines.slurm.engine import SlurmEngine

    own = {name: environment[name] for name in ("PATH", "SLURM_CONF") if name in environment}
    comment = str(folder.path.absolute())
    return SlurmEngine(order.mirror, comment, order.submit_options, variables=own, most=order.most_jobs)


def _ray(order: BuildOrder, folder: RunFolder, environment: Mapping[str, str]) -> StepEngine:
    del order
    from job_creator.engines.ray.cluster import new_cluster
    from job_creator.engines.ray.engine import RayEngine

    passed = {name: environment[name] for name in _OF_RAY if name in environment}
    return RayEngine(new_cluster(passed, None, folder.path.absolute()), folder.path)


ENGINES: Final[Mapping[str, Opener]] = {"local": _local, "ray": _ray, "slurm": _slurm}
"""The engines that `jc build` can use, by their names."""


def require_nobody_at_work(order: BuildOrder) -> None:
    """Raise `RefusedError` if a scheduler still has jobs that fill the same build cache. Raises `CouldNotAskError`."""
    if order.engine == "slurm":
        from job_creator.engines.slurm.engine import jobs_at_work

        if jobs := list(jobs_at_work(order.mirror)):
            what = f"Slurm still has {len(jobs)} jobs that fill {order.mirror}"
            raise RefusedError(f"{what}; wait for them, or say 'jc build cancel {jobs[0].comment}'")


def cancel_run(folder: RunFolder) -> str:
    """End a run; what was done about it. Raises `NotThereError` if nobody is at work on it, and `CouldNotAskError`."""
    driver, jobs = folder.driver() if folder.run else None, 0
    if driver is not None:
        os.kill(driver, signal.SIGTERM)
    if folder.run["engine"] == "slurm":
        from job_creator.engines.slurm.engine import SlurmEngine, jobs_at_work

        path = str(folder.path.absolute())
        ids = [job.id for job in jobs_at_work(folder.run["mirror"]) if job.comment == path]
        SlurmEngine(folder.run["mirror"], path).cancel(ids)
        jobs = len(ids)
    if driver is None and not jobs:
        raise NotThereError(f"{folder.path}: nobody is at work on it")
    return f"told process {driver} to end" if not jobs else f"cancelled {jobs} jobs"
