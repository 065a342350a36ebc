"""Merged packages as pipelines that GitLab accepts: one that is the DAG itself, or few children and their parent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from job_creator import names
from job_creator.ci_objects import INFRASTRUCTURE_FAILURES, Pipeline, RawJob
from job_creator.errors import LimitExceededError
from job_creator.graph import remaining_times
from job_creator.job_scripts import render
from job_creator.limits import PARSED_SIZE_SAFETY, LimitReport, check, parsed_size
from job_creator.packages.merge import Merged
from job_creator.packages.partition import Capacity, Partition, by_urgency, part_dependencies, partition
from job_creator.packages.prepare import (
    STAGE_BUILD,
    STAGE_INDEX,
    STAGE_SERVICES,
    Preparation,
    index_jobs,
    package_job,
    service_jobs,
)
from job_creator.yaml_io import dump

STAGE_COLLECT: Final = "collect"
STAGE_PACKAGES: Final = "packages"
STAGES: Final = (STAGE_COLLECT, STAGE_PACKAGES, STAGE_BUILD, STAGE_SERVICES, STAGE_INDEX)
COLLECT_JOB: Final = "collect artifacts"
NOTHING_JOB: Final = "nothing to build"

DEPTH: Final = 1
"""The package pipeline is a child of the parent pipeline; its own children are the last level there may be."""

_ON_SUCCESS: Final = [{"when": "on_success"}]


@dataclass(frozen=True, slots=True)
class Request:
    """Where the files go, and how many jobs one pipeline may have besides what GitLab says."""

    folder: str
    """The artifacts folder that the files are in, relative to the project."""
    root: str
    """File name of the root pipeline."""
    max_jobs: int | None = None


@dataclass(frozen=True, slots=True)
class PackedFile:
    """One pipeline: its file name, its document, how many packages it builds, and how it stands to the limits."""

    name: str
    document: Mapping[str, Any]
    packages: int
    limits: LimitReport


@dataclass(frozen=True, slots=True)
class Packed:
    """The pipelines of an architecture, the root first."""

    files: tuple[PackedFile, ...]
    parts: Partition
    """DAG hashes by pipeline that builds them, in the order in which runners should take them."""


def pack(merged: Merged, place: Preparation, seconds: Mapping[str, float], request: Request) -> Packed:
    """Lay the packages out as pipelines; `seconds` are expected durations by DAG hash.

    Raises `LimitExceededError` when a single job is over the limits.
    """
    if not merged.jobs:
        document = Pipeline((STAGE_BUILD,), (_nothing_job(place),)).document()
        return Packed((_file(request.root, document, 0, place, DEPTH),), ())
    order = by_urgency(tuple(merged.jobs), remaining_times(merged.edges, seconds))
    services = (*service_jobs(merged, place), *index_jobs(merged, place))
    document = Pipeline(STAGES, (*_package_jobs(order, merged, place), *services)).document()
    whole = _file(request.root, document, len(order), place, DEPTH)
    most = request.max_jobs or place.site.gitlab.limits.max_jobs or len(order)
    if not whole.limits.findings and len(order) <= most:
        return Packed((whole,), (order,))
    return _split(merged, place, seconds, request, document, most)


def _split(
    merged: Merged,
    place: Preparation,
    seconds: Mapping[str, float],
    request: Request,
    document: Mapping[str, Any],
    most: int,
) -> Packed:
    """Children that fit, and the root that triggers them in order."""
    weights = {key: _weight(job.name, document) for key, job in merged.jobs.items()}
    hidden = sum(parsed_size(name) + parsed_size(value) for name, value in document.items() if name.startswith("."))
    room = place.site.gitlab.limits.max_yaml_bytes / PARSED_SIZE_SAFETY - hidden - parsed_size(list(STAGES))
    for share in (0.97, 0.9, 0.8, 0.65, 0.5):
        try:
            parts = partition(merged.edges, seconds, weights, Capacity(most, int(room * share)))
        except ValueError:
            break
        children = [_child(index, part, merged, place) for index, part in enumerate(parts, start=1)]
        if not any(child.limits.findings for child in children):
            root = _root(parts, children, merged, place, request)
            return Packed((root, *children), parts)
    raise LimitExceededError(
        f"{request.root}: the packages cannot be split into pipelines that GitLab accepts; "
        f"even a small part is over 'max_yaml_bytes: {place.site.gitlab.limits.max_yaml_bytes}' of the site file"
    )


def _child(index: int, part: Sequence[str], merged: Merged, place: Preparation) -> PackedFile:
    document = Pipeline(STAGES, tuple(_package_jobs(part, merged, place))).document()
    return _file(f"packages_{index}.yaml", document, len(part), place, DEPTH + 1)


def _root(
    parts: Partition, children: Sequence[PackedFile], merged: Merged, place: Preparation, request: Request
) -> PackedFile:
    """Triggers that wait for the children they depend on, and what runs once at the end."""
    bridges = [
        _bridge(index, child, before, request)
        for index, (child, before) in enumerate(
            zip(children, part_dependencies(parts, merged.edges), strict=True), start=1
        )
    ]
    jobs = (_collect_job(place, request), *bridges, *service_jobs(merged, place), *index_jobs(merged, place))
    document = Pipeline(STAGES, jobs).document()
    archive = {child.name: dump(child.document).encode() for child in children}
    archive[request.root] = dump(document).encode()
    report = check(document, place.site.gitlab.limits, depth=DEPTH, archive=archive)
    return PackedFile(request.root, document, 0, report)


def _bridge(index: int, child: PackedFile, before: frozenset[int], request: Request) -> RawJob:
    include = {"artifact": f"{request.folder}/{child.name}", "job": COLLECT_JOB}
    return RawJob(
        _bridge_name(index),
        "bridge",
        {
            "stage": STAGE_PACKAGES,
            "rules": _ON_SUCCESS,
            "needs": [COLLECT_JOB, *(_bridge_name(other + 1) for other in sorted(before))],
            "trigger": {"include": [include], "strategy": "depend"},
        },
    )


def _bridge_name(index: int) -> str:
    return f"packages {index}"


def _collect_job(place: Preparation, request: Request) -> RawJob:
    """A trigger finds its YAML only in a job of its own pipeline, so this one uploads the files again."""
    return RawJob(
        COLLECT_JOB,
        "collect",
        {
            "stage": STAGE_COLLECT,
            "image": {"name": place.site.images.job_creator, "entrypoint": [""]},
            "tags": list(place.architecture.tags("tools")),
            "rules": _ON_SUCCESS,
            "needs": [{"pipeline": place.pipeline_id, "job": names.process_job(place.name)}],
            "script": [render("collect_artifacts.sh.j2", folder=request.folder)],
            "variables": {"GIT_STRATEGY": "none", **place.architecture.job_variables("tools")},
            "artifacts": {"paths": [f"{request.folder}/"], "expire_in": place.site.gitlab.artifact_expiry},
            "timeout": "30 minutes",
            "retry": {"max": 2, "when": list(INFRASTRUCTURE_FAILURES)},
            "interruptible": True,
        },
    )


def _nothing_job(place: Preparation) -> RawJob:
    """A pipeline without a job would be refused."""
    return RawJob(
        NOTHING_JOB,
        "nothing",
        {
            "stage": STAGE_BUILD,
            "image": {"name": place.site.images.job_creator, "entrypoint": [""]},
            "tags": list(place.architecture.tags("tools")),
            "rules": _ON_SUCCESS,
            "needs": [],
            "script": ["echo 'Every package is in the build cache already.'"],
            "variables": {"GIT_STRATEGY": "none"},
            "timeout": "10 minutes",
            "retry": {"max": 2, "when": list(INFRASTRUCTURE_FAILURES)},
            "interruptible": True,
        },
    )


def _package_jobs(part: Sequence[str], merged: Merged, place: Preparation) -> list[RawJob]:
    """The jobs of a part; needs of jobs in other parts are what the order of the parts is for."""
    inside = set(part)
    most = place.site.gitlab.limits.max_needs - 1  # one is the job that generated the environment
    jobs: list[RawJob] = []
    for key in part:
        needed = sorted(merged.jobs[other].name for other in merged.edges[key] & inside)
        gates, needed = _gates(merged.jobs[key].name, needed, most, place)
        jobs += [*gates, package_job(merged.jobs[key], needed, place)]
    return jobs


def _gates(name: str, needed: list[str], most: int, place: Preparation) -> tuple[list[RawJob], list[str]]:
    """Cheap jobs that stand for many others, where one job may not need them all."""
    gates: list[RawJob] = []
    while len(needed) > most:
        chunks = [needed[start : start + most] for start in range(0, len(needed), most)]
        following = [f"gate {len(gates) + index} /{name.rpartition('/')[2]}" for index in range(1, len(chunks) + 1)]
        gates += [_gate(gate, chunk, place) for gate, chunk in zip(following, chunks, strict=True)]
        needed = following
    return gates, needed


def _gate(name: str, needed: Sequence[str], place: Preparation) -> RawJob:
    return RawJob(
        name,
        "gate",
        {
            "stage": STAGE_BUILD,
            "image": {"name": place.site.images.job_creator, "entrypoint": [""]},
            "tags": list(place.architecture.tags("tools")),
            "rules": _ON_SUCCESS,
            "needs": [{"job": need, "artifacts": False} for need in needed],
            "script": ["true"],
            "variables": {"GIT_STRATEGY": "none"},
            "timeout": "10 minutes",
            "retry": {"max": 2, "when": list(INFRASTRUCTURE_FAILURES)},
            "interruptible": True,
        },
    )


def _weight(name: str, document: Mapping[str, Any]) -> int:
    """What a job adds to the parsed size of its pipeline, its place in the table of jobs included."""
    return parsed_size(name) + parsed_size(document[name]) + 60


def _file(name: str, document: dict[str, Any], packages: int, place: Preparation, depth: int) -> PackedFile:
    return PackedFile(name, document, packages, check(document, place.site.gitlab.limits, depth=depth))
