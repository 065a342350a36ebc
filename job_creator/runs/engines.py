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
    from job_creator.engines.scheduler import Scheduler
    from job_creator.runs.folder import RunFolder
    from job_creator.runs.order import BuildOrder

    Opener = Callable[[BuildOrder, RunFolder, Mapping[str, str]], StepEngine]

_OF_RAY: Final = ("HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "TMPDIR", "USER")
"""What the processes of a cluster see; each step has an environment of its own."""
_OF_SCHEDULERS: Final = {"flux": ("FLUX_URI",), "slurm": ("SLURM_CONF",)}
"""The engines of schedulers, each with the variables that its commands need."""


def _local(order: BuildOrder, folder: RunFolder, environment: Mapping[str, str]) -> StepEngine:
    del environment
    from job_creator.engines.local.engine import LocalEngine

    return LocalEngine(order.cores, folder.path / "jobserver")


def _scheduled(order: BuildOrder, folder: RunFolder, environment: Mapping[str, str]) -> StepEngine:
    from job_creator.engines.scheduler import SchedulerEngine

    names = ("PATH", *_OF_SCHEDULERS[order.engine])
    own = {name: environment[name] for name in names if name in environment}
    path = str(folder.path.absolute())
    scheduler = scheduler_of(order.engine)
    return SchedulerEngine(scheduler, order.mirror, path, order.submit_options, variables=own, most=order.most_jobs)


def _ray(order: BuildOrder, folder: RunFolder, environment: Mapping[str, str]) -> StepEngine:
    from job_creator.engines.ray.cluster import new_cluster
    from job_creator.engines.ray.engine import RayEngine

    cluster = new_cluster(of_ray(environment), folder.path.absolute(), is_joined=order.is_joined)
    return RayEngine(cluster, folder.path)


def of_ray(environment: Mapping[str, str]) -> dict[str, str]:
    """What the processes of a cluster of Ray see of an environment."""
    return {name: environment[name] for name in _OF_RAY if name in environment}


ENGINES: Final[Mapping[str, Opener]] = {"flux": _scheduled, "local": _local, "ray": _ray, "slurm": _scheduled}
"""The engines that `jc build` can use, by their names."""
SCHEDULERS: Final = tuple(_OF_SCHEDULERS)
"""Those of them whose steps are jobs of a scheduler."""


def scheduler_of(engine: str) -> Scheduler:
    """The scheduler of one of `SCHEDULERS`."""
    if engine == "flux":
        from job_creator.engines.flux.jobs import Flux

        return Flux()
    from job_creator.engines.slurm.jobs import Slurm

    return Slurm()


def require_nobody_at_work(order: BuildOrder) -> None:
    """Raise `RefusedError` if a scheduler still has jobs that fill the same build cache. Raises `CouldNotAskError`."""
    if order.engine in SCHEDULERS:
        from job_creator.engines.scheduler import jobs_at_work

        scheduler = scheduler_of(order.engine)
        if jobs := list(jobs_at_work(scheduler, order.mirror)):
            what = f"{scheduler.called} still has {len(jobs)} jobs that fill {order.mirror}"
            raise RefusedError(f"{what}; wait for them, or say 'jc build cancel {jobs[0].run}'")


def cancel_run(folder: RunFolder) -> str:
    """End a run; what was done about it. Raises `NotThereError` if nobody is at work on it, and `CouldNotAskError`."""
    driver, jobs = folder.driver() if folder.run else None, 0
    if driver is not None:
        os.kill(driver, signal.SIGTERM)
    if folder.run["engine"] in SCHEDULERS:
        from job_creator.engines.scheduler import cancel_jobs, jobs_at_work

        scheduler = scheduler_of(folder.run["engine"])
        path = str(folder.path.absolute())
        ids = [job.id for job in jobs_at_work(scheduler, folder.run["mirror"]) if job.run == path]
        cancel_jobs(scheduler, ids)
        jobs = len(ids)
    if driver is None and not jobs:
        raise NotThereError(f"{folder.path}: nobody is at work on it")
    return f"told process {driver} to end" if not jobs else f"cancelled {jobs} jobs"
