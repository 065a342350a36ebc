"""Generated pipelines as the simulator plays them: jobs that run, what they wait for, and the children they trigger.

Sources: GitLab docs, "CI/CD YAML syntax reference" (`needs`, `stages`, `trigger`, `parallel`, `rules`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

from foundation.errors import ExitCode, SpacktainersError
from foundation.graph import GraphError, topological_order
from job_creator.builds.durations import Durations
from job_creator.builds.node_step import PACKAGES_VARIABLE
from job_creator.engines.gitlab.names import NAME_VARIABLE
from job_creator.engines.gitlab.objects import expand
from job_creator.engines.gitlab.package_names import built_by

Seconds = Callable[[str, Mapping[str, Any]], float]
"""The expected seconds of a job with a script, from its name in the file and its keywords, `extends` resolved."""

_DEFAULT_STAGES: Final = ("build", "test", "deploy")
_OUTER_STAGES: Final = (".pre", ".post")
_WORK: Final = frozenset({"script", "run", "trigger"})
"""What makes a job of a mapping."""
_WHAT_TO_GIVE: Final = "give the YAML of a GitLab pipeline, such as a file that 'jc process-spack-pipeline' made"
_RUNNING: Final = frozenset(["on_success", "always", "delayed"])
"""The values of `when` with which a job starts by itself where all others succeed."""


def expected_by(durations: Durations, start: float) -> Seconds:
    """What jobs are expected to take: those that build packages as long as that, all others what a service takes.

    `start` are the seconds that a job takes before it builds anything, which several packages share.
    """

    def seconds(name: str, keywords: Mapping[str, Any]) -> float:
        if listed := str((keywords.get("variables") or {}).get(PACKAGES_VARIABLE, "")).split():
            taken = (durations.of_package(one.partition("@")[0].partition("/")[0]) for one in listed)
            return start + sum(max(0.0, one - start) for one in taken)
        named, _ = built_by(name) or ("", "")
        package = (keywords.get("variables") or {}).get(NAME_VARIABLE, named)
        return durations.of_package(str(package)) if package else durations.service

    return seconds


class SimulationError(SpacktainersError):
    """These pipelines cannot be played: GitLab would refuse them, or they would never end."""

    exit_code = ExitCode.INVALID_INPUT


@dataclass(frozen=True, slots=True)
class RunningJob:
    """A job that runs. `needs` is `None` where it waits for the stages before; `seconds` is 0 for a trigger."""

    name: str
    copies: tuple[str, ...]
    stage: int
    needs: tuple[str, ...] | None
    seconds: float
    child: str | None
    waits: bool


@dataclass(frozen=True, slots=True)
class RunningPipeline:
    """The jobs of a file that run, in the order of their ids."""

    path: str
    stages: int
    jobs: tuple[RunningJob, ...]


@dataclass(frozen=True, slots=True)
class _Source:
    """A file as it was written: its jobs with `extends` resolved, and the job behind each name that can be needed."""

    path: str
    jobs: Mapping[str, Mapping[str, Any]]
    stages: Mapping[str, int]
    origin: Mapping[str, str]

    def error(self, job: str, fact: str) -> SimulationError:
        return SimulationError(f"{self.path}: {job}: {fact}")


def read_pipeline(path: str, document: Any, seconds: Seconds) -> RunningPipeline:
    """Read a parsed file; `path` is how triggers name it.

    Raises `SimulationError` for what is no pipeline, and for what GitLab would refuse.
    """
    source = _source(path, document)
    needs = {name: _needs(source, name) for name in source.jobs}
    _require_order(source, needs)
    running = {name for name, keywords in source.jobs.items() if _outcomes(keywords) & _RUNNING}
    jobs = [_job(source, name, needs[name], running, seconds) for name in source.jobs if name in running]
    return RunningPipeline(path, len(source.stages), tuple(sorted(jobs, key=lambda job: job.stage)))


def _source(path: str, document: Any) -> _Source:
    if not isinstance(document, Mapping):
        found = "empty" if document is None else "a list" if isinstance(document, list) else "a single value"
        raise SimulationError(f"{path}: is no pipeline: {found}; {_WHAT_TO_GIVE}")
    try:
        # Keywords of the whole pipeline that are no mappings (`before_script`) are no jobs.
        jobs = expand({name: value for name, value in document.items() if isinstance(value, Mapping)})
    except KeyError as error:
        raise SimulationError(f"{path}: extends {error} which is not there") from None
    except RecursionError:
        raise SimulationError(f"{path}: extends goes round in a circle") from None
    if idle := [name for name, keywords in jobs.items() if not _WORK & keywords.keys()]:
        fact = f"{idle[0]!r} has neither 'script' nor 'trigger', so it is no job"
        raise SimulationError(f"{path}: is no pipeline: {fact}; {_WHAT_TO_GIVE}")
    named = document.get("stages") or _DEFAULT_STAGES
    stages = (".pre", *(stage for stage in named if stage not in _OUTER_STAGES), ".post")
    origin = {copy: name for name, keywords in jobs.items() for copy in (*_copies(name, keywords), name)}
    source = _Source(path, jobs, {stage: index for index, stage in enumerate(stages)}, origin)
    for name, keywords in jobs.items():
        if _stage(keywords) not in source.stages:
            raise source.error(name, f"stage {_stage(keywords)!r} is not in 'stages'")
    created = [keywords for keywords in jobs.values() if _outcomes(keywords) - {"never"}]
    if all(_stage(keywords) in _OUTER_STAGES for keywords in created):
        raise SimulationError(f"{path}: has no job (those in .pre and .post do not count); GitLab does not create it")
    return source


def _stage(keywords: Mapping[str, Any]) -> str:
    return str(keywords.get("stage", "test"))


def _outcomes(keywords: Mapping[str, Any]) -> set[str]:
    """The values of `when` that a job may end up with: those of its rules up to the first without a condition."""
    default = keywords.get("when", "on_success")
    if "rules" not in keywords:
        return {default}
    found: set[str] = set()
    for rule in keywords["rules"] or ():
        found.add(rule.get("when", default))
        if not rule.keys() & {"if", "changes", "exists"}:
            break
    return found


def _copies(name: str, keywords: Mapping[str, Any]) -> tuple[str, ...]:
    """The names that GitLab gives to a job, or to its copies."""
    parallel = keywords.get("parallel")
    if isinstance(parallel, int):
        return tuple(f"{name} {number}/{parallel}" for number in range(1, parallel + 1))
    if not isinstance(parallel, Mapping):
        return (name,)
    return tuple(
        f"{name}: [{', '.join(map(str, values))}]"
        for entry in parallel.get("matrix", ())
        for values in product(*(value if isinstance(value, list) else [value] for value in entry.values()))
    )


def _needs(source: _Source, name: str) -> tuple[str, ...] | None:
    """What a job waits for, each once; other pipelines are not waited for."""
    entries = source.jobs[name].get("needs")
    if entries is None:
        return None
    found: list[str] = []
    for entry in entries:
        need = {"job": entry} if isinstance(entry, str) else entry
        if "job" not in need or need.keys() & {"pipeline", "project"}:
            continue
        if need["job"] in source.origin:
            found.append(need["job"])
        elif not need.get("optional"):
            raise source.error(name, f"needs {need['job']!r}, which is not in this pipeline")
    return tuple(dict.fromkeys(found))


def _require_order(source: _Source, needs: Mapping[str, tuple[str, ...] | None]) -> None:
    edges: dict[str, frozenset[str]] = {}
    stages = {name: source.stages[_stage(keywords)] for name, keywords in source.jobs.items()}
    for name, names in needs.items():
        edges[name] = frozenset(source.origin[need] for need in names or ())
        late = sorted(need for need in edges[name] if stages[need] > stages[name])
        if late:
            raise source.error(name, f"needs {late[0]!r} of a later stage")
    try:
        topological_order(edges)
    except GraphError as error:
        circle = error.circle
        raise source.error(circle[0], f"needs itself: {' -> '.join(reversed(circle))}") from None


def _job(
    source: _Source, name: str, needs: tuple[str, ...] | None, running: Collection[str], seconds: Seconds
) -> RunningJob:
    keywords = source.jobs[name]
    trigger = keywords.get("trigger")
    waited = None if needs is None else tuple(need for need in needs if source.origin[need] in running)
    return RunningJob(
        name=name,
        copies=_copies(name, keywords),
        stage=source.stages[_stage(keywords)],
        needs=waited,
        seconds=0.0 if trigger is not None else _duration(source, name, seconds),
        child=None if trigger is None else _child(source, name, trigger),
        waits=isinstance(trigger, Mapping) and trigger.get("strategy") in ("depend", "mirror"),
    )


def _duration(source: _Source, name: str, seconds: Seconds) -> float:
    expected = float(seconds(name, source.jobs[name]))
    if not 0 <= expected < math.inf:
        raise source.error(name, f"expected to take {expected} seconds; must be 0 or more, and finite")
    return expected


def _child(source: _Source, name: str, trigger: object) -> str:
    include = trigger.get("include") if isinstance(trigger, Mapping) else None
    includes = include if isinstance(include, list) else [include]
    if len(includes) != 1:
        raise source.error(name, f"triggers {len(includes)} files; only one can be played")
    path = includes[0]
    if isinstance(path, Mapping):
        path = path.get("artifact", path.get("local"))
    if not isinstance(path, str):
        raise source.error(name, "triggers neither an artifact nor a local file")
    return path
