"""The documents of package pipelines: the root, its children, or everything as one pipeline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from typing import Any, Final

from job_creator.engines.gitlab import names
from job_creator.engines.gitlab.jobs.package_mirrors import index_jobs, service_jobs, view_jobs
from job_creator.engines.gitlab.jobs.packages import (
    STAGE_BUILD,
    STAGE_COLLECT,
    STAGE_INDEX,
    STAGE_SERVICES,
    PackagePlace,
    origin_job,
    small_job,
)
from job_creator.engines.gitlab.objects import Pipeline, RawJob
from job_creator.engines.gitlab.packing.layout import PipelineLayout
from job_creator.engines.gitlab.packing.work import PackageWork
from job_creator.scripts.rendering import render

STAGES: Final = (STAGE_COLLECT, STAGE_BUILD, STAGE_SERVICES, STAGE_INDEX)
COLLECT_JOB: Final = "collect artifacts"
NOTHING_JOB: Final = "nothing to build"

_ALWAYS: Final = [{"when": "always"}]


def nothing(place: PackagePlace) -> dict[str, Any]:
    """A pipeline without a job would be refused."""
    job = small_job(NOTHING_JOB, STAGE_BUILD, [], "echo 'Every package is in the build cache already.'", place)
    return Pipeline((STAGE_BUILD,), (job,)).document()


def everything(work: PackageWork, layout: PipelineLayout) -> dict[str, Any]:
    """All of it as one pipeline; the layout says in which order."""
    jobs = (*_package_jobs(layout.root, work), *service_jobs(work.generated, work.place), *_last_jobs(work))
    return Pipeline(STAGES, jobs).document()


def child(part: Sequence[str], work: PackageWork) -> dict[str, Any]:
    """A pipeline of these jobs, by the hashes of the packages that they are called after."""
    return Pipeline(STAGES, tuple(_package_jobs(part, work))).document()


def child_file(index: int) -> str:
    """What the file of a child is called; the first one is 1."""
    return f"packages_{index}.yaml"


def root(layout: PipelineLayout, work: PackageWork, folder: str) -> dict[str, Any]:
    """Jobs that nothing was parted from, triggers, and what runs once at the end.

    `folder` is where the files of the children lie, relative to the project.
    """
    place = work.place
    bridge_of = {part[0]: _bridge_name(index) for index, part in enumerate(layout.parts, start=1)}
    names_of = {**{key: work.names[key] for key in layout.root}, **bridge_of}
    waits = {key: sorted(names_of[one] for one in needs) for key, needs in layout.waits.items()}
    bridges = [
        job
        for index, part in enumerate(layout.parts, start=1)
        for job in _bridge(bridge_of[part[0]], f"{folder}/{child_file(index)}", waits[part[0]], place)
    ]
    last = (*service_jobs(work.generated, place), *_last_jobs(work))
    own = _package_jobs(layout.root, work, waits, frozenset(bridge_of.values()))
    return Pipeline(STAGES, (_collect_job(place, folder), *own, *bridges, *last)).document()


def _last_jobs(work: PackageWork) -> tuple[RawJob, ...]:
    """What follows all packages, also after failures."""
    return (*index_jobs(work.generated, work.place), *view_jobs(work.generated, work.place))


def _bridge(name: str, file: str, waited: list[str], place: PackagePlace) -> list[RawJob]:
    """The job that triggers a child, and the gates that it may take to wait for all jobs and children before it.

    It runs whatever became of those: most of its packages need none of what failed. Those that do find a dependency
    missing in the build cache, and end at once.
    """
    most = place.site.gitlab.limits.max_needs - 1  # one is the job that has the file
    gates, waited = _gates(name, waited, most, STAGE_BUILD, place)
    keywords = {
        "stage": STAGE_BUILD,
        "rules": _ALWAYS,
        "needs": [COLLECT_JOB, *waited],
        "trigger": {"include": [{"artifact": file, "job": COLLECT_JOB}], "strategy": "depend"},
    }
    return [*_always(gates), RawJob(name, "bridge", keywords)]


def _bridge_name(index: int) -> str:
    return f"packages {index}"


def _collect_job(place: PackagePlace, folder: str) -> RawJob:
    """A trigger finds its YAML only in a job of its own pipeline, so this one uploads the files again."""
    return small_job(
        COLLECT_JOB,
        STAGE_COLLECT,
        [{"pipeline": place.pipeline_id, "job": names.process_job(place.name)}],
        render("collect_artifacts.sh.j2", folder=folder),
        place,
        artifacts={"paths": [f"{folder}/"], "expire_in": place.site.gitlab.artifact_expiry},
    )


def _package_jobs(
    part: Sequence[str],
    work: PackageWork,
    waits: Mapping[str, list[str]] | None = None,
    bridges: Set[str] = frozenset(),
) -> list[RawJob]:
    """The jobs of a pipeline that build packages, and those that bring their environments.

    `waits` are the names that each needs there, `bridges` those of children among them; by default they need what they
    depend on, as far as it is in the same pipeline. Needs of other pipelines are what the root is for.
    """
    inside = set(part)
    environments = {work.merged.steps[key].environment for key in part}
    most = work.place.site.gitlab.limits.max_needs - 1  # one is the job that brings the environment
    jobs = [origin_job(one, work.place) for one in work.generated if one.container in environments]
    for key in part:
        needed = work.edges[key] & inside
        named = sorted(work.names[other] for other in needed) if waits is None else waits[key]
        # A child may have failed for something that this job does not need.
        always = work.runs_always(key, needed) or not bridges.isdisjoint(named)
        gates, waited = _gates(work.names[key], named, most, STAGE_BUILD, work.place)
        jobs += [*(_always(gates) if always else gates), work.job(key, waited, always=always)]
    return jobs


def _gates(name: str, needed: list[str], most: int, stage: str, place: PackagePlace) -> tuple[list[RawJob], list[str]]:
    """Cheap jobs that stand for many others, where one job may not need them all; and what is to be needed then."""
    gates: list[RawJob] = []
    while len(needed) > most:
        chunks = [needed[start : start + most] for start in range(0, len(needed), most)]
        following = [f"gate {len(gates) + index} /{name.rpartition('/')[2]}" for index in range(1, len(chunks) + 1)]
        gates += [_gate(gate, chunk, stage, place) for gate, chunk in zip(following, chunks, strict=True)]
        needed = following
    return gates, needed


def _gate(name: str, needed: Sequence[str], stage: str, place: PackagePlace) -> RawJob:
    return replace(small_job(name, stage, needed, "true", place, dependencies=[]), kind="gate")


def _always(gates: Sequence[RawJob]) -> list[RawJob]:
    """The same, to run whatever became of those they wait for."""
    return [replace(gate, keywords={**gate.keywords, "rules": _ALWAYS}) for gate in gates]
