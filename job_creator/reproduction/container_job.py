"""The build of a container by the job that did it, or failed to: its description is in the pipeline above."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Final

from foundation.errors import NotThereError
from job_creator.engines.gitlab import names
from job_creator.project_files import DEFAULT_IMAGE_FILES
from job_creator.reproduction.container_build import FoundContainer
from job_creator.reproduction.gitlab_jobs import JobsOfProject, RanJob
from job_creator.site.site import Site
from job_creator.site.tools import Buildah

_NAME: Final = re.compile(r"build (\w[\w.-]*) container for (\w[\w.-]*)", re.ASCII)
"""`names.build_container_job`. Anybody's pipeline can have jobs with other names, and these get into a script."""


def container_of(job: RanJob) -> tuple[str, str] | None:
    """The container that a job builds, and the architecture; `None` for other jobs."""
    found = _NAME.fullmatch(job.name)
    return (found[1], found[2]) if found and names.build_container_job(*found.groups()) == job.name else None


def found_container(project: JobsOfProject, job: RanJob, url: str, site: Site | None) -> FoundContainer:
    """What a job built a container from. Raises `NotThereError` where that has expired, and what asking raises."""
    container, architecture = container_of(job) or ("", "")
    base = _base_pipeline(project, job)
    jobs = {one.name: one for one in project.jobs(base)}
    folder = f"{names.container_artifacts(architecture)}/{container}"
    described = _left(project, jobs, names.containers_job(architecture))
    files = {path: content for path, content in described.items() if path.startswith(f"{folder}/")}
    if not files:
        raise NotThereError(f"{job.name!r}: the pipeline of containers was generated without {container}")
    files |= {path: content for path, content in described.items() if f"/{DEFAULT_IMAGE_FILES}/" in path}
    environment = names.environment_job(container, architecture)
    if environment in jobs:
        locks = _left(project, jobs, environment)
        files |= {path: content for path, content in locks.items() if path.endswith("/concrete_environment/spack.lock")}
    record = json.loads(files.get(f"{folder}/record.json", b"{}"))
    return FoundContainer(
        name=container,
        source=url,
        commit=job.commit or str(record.get("commit", "")),
        platform=site.platform(architecture) if site and architecture in site.architectures else architecture,
        folder=folder,
        files=files,
        has_tests=b"smoke test:" in files.get(f"{folder}/smoke_tests.sh", b""),
        buildah=site.images.buildah if site else Buildah(),
    )


def _base_pipeline(project: JobsOfProject, job: RanJob) -> int:
    """The base pipeline of the push that a container's job belongs to."""
    for parent in project.parents(job.commit):
        triggered = project.triggered(parent)
        if job.pipeline in triggered.values() and names.BASE_BRIDGE in triggered:
            return triggered[names.BASE_BRIDGE]
    raise NotThereError(f"{job.name!r}: no pipeline of commit {job.commit} triggered pipeline {job.pipeline}")


def _left(project: JobsOfProject, jobs: Mapping[str, RanJob], name: str) -> Mapping[str, bytes]:
    if name not in jobs or not jobs[name].has_archive:
        raise NotThereError(f"{name!r}: left nothing, or it has expired; run the pipeline again")
    return project.files(jobs[name])
