"""What a package job built and in which environment, from what it and its neighbours left."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Final

from foundation.errors import NotThereError
from job_creator.builds import node_step
from job_creator.builds.node_step import read_records
from job_creator.engines.gitlab.jobs.packages import origin_name
from job_creator.reproduction.gitlab_jobs import JobsOfProject, RanJob
from job_creator.reproduction.package_job import FoundJob, MadeWith

_LOCK: Final = "concrete_environment/spack.lock"
_HASH: Final = re.compile(r"[^/]+@\S+ /([a-z0-9]{7,32})")
"""The name of a job with one package, which ends with its DAG hash (`engines/gitlab/package_names.py`)."""


def found_job(project: JobsOfProject, job: RanJob, url: str) -> FoundJob:
    """What a package job built.

    Its own artifacts say so; without any, as where its runner was lost, its name does. Raises `NotThereError` for a job
    that is none of a package, or whose environment is gone, and what asking raises.
    """
    left = project.files(job) if job.has_archive else {}
    packages, made_with = _said(left)
    if not packages and (named := _HASH.fullmatch(job.name)):
        packages = (named[1],)
    if not packages:
        hint = "name the job of a package, or that of a container"
        raise NotThereError(f"{job.name!r}: neither its name nor what it left says which packages it built; {hint}")
    for name, folder in _environments(project, job.pipeline, next(iter(left), "")):
        if all(_has(folder, letters) for letters in packages):
            return FoundJob(job.name, url, job.commit, packages, name, folder, made_with)
    raise NotThereError(
        f"{job.name!r}: no job of pipeline {job.pipeline} left its environment; artifacts may have expired"
    )


def _said(left: Mapping[str, bytes]) -> tuple[tuple[str, ...], MadeWith]:
    """The packages of a job as it recorded them, and with what they were made."""
    packages: tuple[str, ...] = ()
    made_with = MadeWith()
    for path, content in left.items():
        if path.endswith(f"/{node_step.OUTCOMES}/{node_step.RECORDS}"):
            packages = tuple(one.hash for one in read_records(content, path))
        elif path.endswith(f"/{node_step.OUTCOMES}/{node_step.MADE_WITH}"):
            made_with = MadeWith.read(content, path)
    return packages, made_with


def _environments(project: JobsOfProject, pipeline: int, hint: str) -> Iterator[tuple[str, Mapping[str, bytes]]]:
    """The environments that jobs of a pipeline brought; first the one whose folder `hint` lies in."""
    prefix = origin_name("")
    brought = [one for one in project.jobs(pipeline) if one.name.startswith(prefix) and one.has_archive]
    names = {one: one.name.removeprefix(prefix) for one in brought}
    for job in sorted(brought, key=lambda one: f"/{names[one]}/" not in f"/{hint}"):
        files = project.files(job)
        for path in files:
            if path.endswith(f"/{_LOCK}"):
                folder = path.removesuffix(_LOCK)
                yield (
                    names[job],
                    {key.removeprefix(folder): one for key, one in files.items() if key.startswith(folder)},
                )


def _has(folder: Mapping[str, bytes], letters: str) -> bool:
    try:
        locked = json.loads(folder[_LOCK])["concrete_specs"]
    except (ValueError, KeyError, TypeError):
        return False
    return any(str(key).startswith(letters) for key in locked)
