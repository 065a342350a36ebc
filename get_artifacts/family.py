"""GitLab's answers as values: a pipeline, its bridges and jobs, and the pipelines that its bridges triggered.

Source of the fields and statuses: GitLab docs, "Jobs API" and "Pipelines API".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar

_UNFINISHED: Final = frozenset(
    (
        "created",
        "waiting_for_resource",
        "preparing",
        "waiting_for_callback",
        "pending",
        "running",
        "canceling",
        "manual",
        "scheduled",
    )
)


@dataclass(frozen=True, slots=True)
class PipelineId:
    """A pipeline and the project that it belongs to (id or path); a child can be in another one than its parent."""

    project: int | str
    pipeline: int

    def __str__(self) -> str:
        """As people name it."""
        return f"pipeline {self.pipeline} of project {self.project}"


@dataclass(frozen=True, slots=True)
class Bridge:
    """A job that triggers a pipeline. There is none yet before it ran, and never one where that failed."""

    id: int
    name: str
    status: str
    downstream: PipelineId | None
    failure: str = ""

    @property
    def may_still_trigger(self) -> bool:
        """Whether its pipeline is yet to come."""
        return self.downstream is None and self.status in _UNFINISHED


@dataclass(frozen=True, slots=True)
class FinishedJob:
    """A job with a script, and the archive of its artifacts."""

    id: int
    name: str
    status: str
    pipeline: PipelineId
    archive_bytes: int | None
    """Size of the archive, `None` without one: nothing was left, or only reports, or it has expired."""
    expires: datetime | None = None

    @property
    def is_finished(self) -> bool:
        """Whether its artifacts are what they will be."""
        return self.status not in _UNFINISHED

    def why_empty(self, now: datetime) -> str:
        """Why the job has no archive that could be fetched, in words."""
        if self.expires and self.expires <= now:
            return f"its artifacts expired on {self.expires:%Y-%m-%d}; run the job again"
        return f"it ended as '{self.status}' and left no artifacts"


@dataclass(frozen=True, slots=True)
class Child:
    """A triggered pipeline and what is in it."""

    id: PipelineId
    jobs: tuple[FinishedJob, ...]
    bridges: tuple[Bridge, ...]


@dataclass(frozen=True, slots=True)
class Family:
    """A parent pipeline's bridges, those of them that were chosen, and all pipelines below these."""

    parent: PipelineId
    bridges: tuple[Bridge, ...]
    chosen: tuple[Bridge, ...]
    children: tuple[Child, ...]

    @property
    def jobs(self) -> tuple[FinishedJob, ...]:
        """The jobs of all children."""
        return tuple(job for child in self.children for job in child.jobs)

    @property
    def waiting_bridges(self) -> tuple[Bridge, ...]:
        """The bridges, also of children, whose pipelines are yet to come."""
        inner = (bridge for child in self.children for bridge in child.bridges)
        return tuple(bridge for bridge in (*self.chosen, *inner) if bridge.may_still_trigger)


Named = TypeVar("Named", FinishedJob, Bridge)


def latest(attempts: Iterable[Named]) -> tuple[Named, ...]:
    """Of jobs that were retried, the last attempt, in the order of names."""
    newest: dict[str, Named] = {}
    for attempt in attempts:
        if attempt.name not in newest or newest[attempt.name].id < attempt.id:
            newest[attempt.name] = attempt
    return tuple(newest[name] for name in sorted(newest))


def read_bridge(answer: Any, pipeline: PipelineId) -> Bridge:
    """A bridge as GitLab describes it. Raises `KeyError`, `TypeError` or `ValueError` for anything else."""
    triggered = answer.get("downstream_pipeline")
    project = triggered.get("project_id", pipeline.project) if triggered else pipeline.project
    return Bridge(
        id=int(answer["id"]),
        name=str(answer["name"]),
        status=str(answer["status"]),
        downstream=PipelineId(project, int(triggered["id"])) if triggered else None,
        failure=str(answer.get("failure_reason") or ""),
    )


def read_job(answer: Any, pipeline: PipelineId) -> FinishedJob:
    """A job as GitLab describes it. Raises `KeyError`, `TypeError` or `ValueError` for anything else."""
    archive = answer.get("artifacts_file")
    expires = answer.get("artifacts_expire_at")
    return FinishedJob(
        id=int(answer["id"]),
        name=str(answer["name"]),
        status=str(answer["status"]),
        pipeline=pipeline,
        archive_bytes=int(archive["size"]) if archive else None,
        expires=datetime.fromisoformat(expires) if expires else None,
    )
