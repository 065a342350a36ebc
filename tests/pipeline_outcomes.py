"""What becomes of the packages of generated pipelines where some do not build, by GitLab's rules of `needs` and `when`.

Sources: GitLab docs, "CI/CD YAML syntax reference" (`needs`, `rules:when`, `trigger:strategy`), "Downstream pipelines".
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from foundation.graph import Edges, topological_order
from job_creator.engines.gitlab.objects import expand
from job_creator.engines.gitlab.packing.pipelines import Packed
from job_creator.engines.gitlab.packing.summary import files_by_path


@dataclass
class Outcomes:
    """What ran and how it ended."""

    built: set[str] = field(default_factory=set)
    """DAG hashes of the packages that are in the build cache at the end."""
    ended: dict[str, str] = field(default_factory=dict)
    """`success`, `failed` or `skipped`, by the path of the file and the job."""
    order: list[str] = field(default_factory=list)
    """The jobs that ran, in that order."""


def play(packed: Packed, edges: Edges, failing: Collection[str]) -> Outcomes:
    """Run all pipelines; packages build unless they are `failing` or lack a dependency in the build cache."""
    outcomes = Outcomes()
    builds = {name: packed.work.groups[key] for name, key in packed.work.built_by.items()}
    _pipeline(files_by_path(packed), packed.files[0].name, _Cache(builds, edges, failing), outcomes)
    return outcomes


@dataclass(frozen=True)
class _Cache:
    builds: Mapping[str, tuple[str, ...]]
    """DAG hashes of the packages of each job, in the order in which it builds them."""
    edges: Edges
    failing: Collection[str]


def _pipeline(files: Mapping[str, Any], path: str, cache: _Cache, outcomes: Outcomes) -> str:
    document = files[path]
    jobs = expand(document)
    stages = {stage: number for number, stage in enumerate(document["stages"])}
    stage_of = {name: stages[job["stage"]] for name, job in jobs.items()}
    waits = {
        name: _local(job["needs"]) if "needs" in job else [other for other in jobs if stage_of[other] < stage_of[name]]
        for name, job in jobs.items()
    }
    ended: dict[str, str] = {}
    for name in topological_order({name: frozenset(waited) for name, waited in waits.items()}):
        job = jobs[name]
        (rule,) = job["rules"]
        # GitLab's processing of jobs treats what was skipped like what failed: only `always` runs after it.
        if rule["when"] == "on_success" and any(ended[one] != "success" for one in waits[name]):
            ended[name] = "skipped"
        elif "trigger" in job:
            ended[name] = _pipeline(files, job["trigger"]["include"][0]["artifact"], cache, outcomes)
        else:
            outcomes.order.append(name)
            ended[name] = _run(name, cache, outcomes)
    outcomes.ended |= {f"{path}: {name}": state for name, state in ended.items()}
    return "failed" if "failed" in ended.values() else "success"


def _run(name: str, cache: _Cache, outcomes: Outcomes) -> str:
    ended = "success"
    for key in cache.builds.get(name, ()):
        if key in cache.failing or not cache.edges[key] <= outcomes.built:
            ended = "failed"
        else:
            outcomes.built.add(key)
    return ended


def _local(needs: Collection[Any]) -> list[str]:
    entries = [{"job": need} if isinstance(need, str) else need for need in needs]
    return [str(need["job"]) for need in entries if "pipeline" not in need]
