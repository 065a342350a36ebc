"""What GitLab refuses, checked before it can: its verdict, and the limits that count when a pipeline runs.

Source: GitLab docs, "CI/CD limits" and "Downstream pipelines".
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

from foundation.errors import LimitExceededError
from job_creator.engines.gitlab.sizes import PARSED_SIZE_SAFETY, archive_size, nesting, parsed_size
from job_creator.engines.gitlab.verdict.judging import MAX_NAME, judge
from job_creator.engines.gitlab.verdict.reading import PipelineText
from job_creator.engines.gitlab.verdict.references import copy_names, local_needs, need_name
from job_creator.engines.gitlab.verdict.values import Finding
from job_creator.site.gitlab import Limits


@dataclass(frozen=True, slots=True)
class Headroom:
    """How much of a limit is used, in the unit that the name says."""

    name: str
    used: int
    limit: int

    @property
    def share(self) -> float:
        """The used part of the limit; 1 is all of it."""
        return self.used / self.limit


@dataclass(frozen=True, slots=True)
class LimitReport:
    """What a check found."""

    findings: tuple[Finding, ...]
    headroom: tuple[Headroom, ...]

    def require(self, name: str) -> None:
        """Raise `LimitExceededError` if GitLab would refuse the pipeline, naming it and every finding."""
        if self.findings:
            lines = "\n".join(f"  {finding}" for finding in self.findings)
            raise LimitExceededError(f"{name}: GitLab would refuse this pipeline\n{lines}")


def check(
    document: Mapping[str, Any], limits: Limits, *, depth: int = 0, archive: Mapping[str, bytes] | None = None
) -> LimitReport:
    """Hold a pipeline that is about to be written against all that GitLab would refuse, then or when it runs.

    `depth` counts the parents that the pipeline will have (the root has none); `archive` are the files that the
    generating job uploads together with it, by name, whose zip a trigger includes.
    """
    verdict = judge(PipelineText(document), limits.max_needed_name, is_enterprise=limits.edition == "ee")
    jobs = verdict.jobs
    most_needs = max((len(local_needs(job.get("needs"))) for job in jobs.values()), default=0)
    headroom = [
        _size(document, limits),
        Headroom("YAML depth", nesting(document), limits.max_yaml_depth),
        Headroom("needs of one job", most_needs, limits.max_needs),
        *_number(len(jobs), limits),
    ]
    if archive is not None:
        headroom.append(Headroom("artifacts archive (bytes)", archive_size(archive), limits.max_artifact_bytes))
        largest = max(map(len, archive.values()), default=0)
        headroom.append(Headroom("largest file in it (bytes)", largest, limits.max_artifact_bytes))
    over = _over(headroom)
    later = (
        () if verdict.findings else chain.from_iterable(_later(name, job, limits, depth) for name, job in jobs.items())
    )
    return LimitReport((*over, *verdict.findings, *later), tuple(headroom))


def too_much(document: Mapping[str, Any], limits: Limits) -> tuple[Finding, ...]:
    """What of a pipeline that may be written is more than GitLab takes: its size, and its jobs."""
    jobs = sum(isinstance(value, Mapping) and not name.startswith(".") for name, value in document.items())
    return _over([_size(document, limits), *_number(jobs - ("workflow" in document), limits)])


def _size(document: Mapping[str, Any], limits: Limits) -> Headroom:
    used = math.ceil(parsed_size(document) * PARSED_SIZE_SAFETY)
    return Headroom("parsed size (bytes)", used, limits.max_yaml_bytes)


def _number(jobs: int, limits: Limits) -> list[Headroom]:
    return [Headroom("jobs", jobs, limits.max_jobs)] if limits.max_jobs is not None else []


def _over(headroom: Iterable[Headroom]) -> tuple[Finding, ...]:
    rooms = (room for room in headroom if room.used > room.limit)
    return tuple(Finding("", room.name, f"{room.used:,} of {room.limit:,}") for room in rooms)


def _later(name: str, job: Mapping[str, Any], limits: Limits, depth: int) -> Iterator[Finding]:
    """What only fails when a valid pipeline runs."""
    if "parallel" in job:
        yield from _copies(name, job["parallel"], limits)
    trigger = job.get("trigger")
    if trigger is None:
        return
    if depth >= limits.max_child_depth:
        yield Finding(name, "trigger", f"child pipelines go {limits.max_child_depth} levels deep at most")
    for include in trigger.get("include") or () if isinstance(trigger, Mapping) else ():
        if not isinstance(include, Mapping) or "artifact" not in include:
            continue
        if not str(include["artifact"]).endswith((".yml", ".yaml")):
            message = f"the artifact {include['artifact']!r} must end in .yml or .yaml"
            yield Finding(name, "trigger:include", message)
        if "needs" in job and include["job"] not in map(need_name, local_needs(job["needs"])):
            yield Finding(name, "trigger:include", f"takes its YAML from {include['job']!r} without needing it")


def _copies(name: str, parallel: object, limits: Limits) -> Iterator[Finding]:
    copies = list(copy_names(name, parallel))
    if len(copies) > limits.max_matrix:
        yield Finding(name, "parallel", f"expands to {len(copies)} jobs, GitLab allows {limits.max_matrix}")
    longest = max(map(len, copies), default=0)
    if longest > MAX_NAME:
        yield Finding(name, "parallel", f"the name of a copy has {longest} characters, GitLab allows {MAX_NAME}")
