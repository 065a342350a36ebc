"""How jobs refer to each other: stages, needs, dependencies, and what triggers and environments name.

Source: lib/gitlab/ci/yaml_processor.rb and lib/gitlab/ci/config/normalizer.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from itertools import product
from typing import Any, Final

from job_creator.engines.gitlab.verdict.conditions import is_need_of_pipeline
from job_creator.engines.gitlab.verdict.values import Finding, as_list, flattened, is_integer

DEFAULT_STAGES: Final = ("build", "test", "deploy")
DEFAULT_STAGE: Final = "test"
_NAMING: Final = frozenset(("dependencies", "trigger", "environment"))
"""Other keywords that may name jobs."""
_OF_MATRIX: Final = re.compile(r"\$\[\[\s*matrix\.([A-Za-z0-9_-]+)\s*\]\]")


@dataclass(frozen=True)
class Jobs:
    """The jobs of a pipeline, each valid by itself."""

    written: Mapping[str, Mapping[str, Any]]
    """By their names in the file, with everything that they extend."""
    stages: Sequence[str]
    max_needed_name: int
    """Characters of a name that others need."""
    is_complete: bool = True
    """Whether no other file adds jobs."""

    @cached_property
    def copies(self) -> Mapping[str, tuple[str, ...]]:
        """What becomes of jobs with `parallel`: the names of all copies."""
        return {
            name: tuple(copy_names(name, job["parallel"]))
            for name, job in self.written.items()
            if job.get("parallel") is not None
        }

    @cached_property
    def by_name(self) -> Mapping[str, Mapping[str, Any]]:
        """All jobs that there will be."""
        return {copy: job for name, job in self.written.items() for copy in self.copies.get(name, (name,))}

    @cached_property
    def positions(self) -> Mapping[str, int | None]:
        """Where in the order of stages each of those jobs stands; nothing for a stage that does not exist."""
        order = {stage: index for index, stage in reversed(list(enumerate(self.stages)))}
        return {name: order.get(_stage(job)) for name, job in self.by_name.items()}

    def position(self, name: str) -> int | None:
        """The same for a job as it is written."""
        copies = self.copies.get(name, (name,))
        return self.positions[copies[0]] if copies else None


def _stage(job: Mapping[str, Any]) -> Any:
    stage = job.get("stage")
    return DEFAULT_STAGE if stage is None else stage


def stages_of(written: object) -> tuple[str, ...]:
    """The stages of a pipeline in order: those that it names, between the two that all pipelines have."""
    if written is None:
        named: Sequence[Any] = DEFAULT_STAGES
    else:
        named = [stage for stage in as_list(written) if stage not in (".pre", ".post")]
        if not as_list(written):
            return ()
    return (".pre", *flattened(named), ".post")


def copy_names(name: str, parallel: object) -> Iterator[str]:
    """The names of a job's copies: `name 1/3`, or `name: [a, b]`."""
    if is_integer(parallel):
        yield from (f"{name} {index}/{parallel}" for index in range(1, int(parallel) + 1))  # type: ignore[call-overload]
    matrix = parallel.get("matrix") if isinstance(parallel, Mapping) else None
    for entry in matrix or ():
        for combination in product(*(as_list(values) for values in entry.values())):
            yield f"{name}: [{', '.join(map(str, combination))}]"


def local_needs(needs: object) -> list[Any]:
    """Needs of jobs of the same pipeline: names, or mappings."""
    values = needs if isinstance(needs, list) else [needs]
    if any(isinstance(need, list | tuple) for need in values):
        values = flattened(values)
    return [need for need in values if isinstance(need, str) or (need is not None and not is_need_of_pipeline(need))]


def need_name(need: Any) -> str:
    """The job that is needed."""
    return str(need["job"] if isinstance(need, Mapping) else need)


def findings(jobs: Jobs) -> Iterator[Finding]:
    """Everything that jobs name wrongly."""
    needed: dict[str, list[str]] = {}
    for name, job in jobs.written.items():
        if jobs.copies.get(name) == ():
            continue  # a matrix without values: no job comes of it
        if jobs.position(name) is None and jobs.is_complete:
            yield _no_stage(name, job, jobs)
            continue
        for keyword, needs in _all_needs(job):
            names = [copy for need in needs for copy in _copies_needed(need, jobs)]
            if not _are_fine(name, names, jobs):
                yield from _needs(Finding(name, keyword, ""), needs, jobs)
            if keyword == "needs":
                needed.update(dict.fromkeys(jobs.copies.get(name, (name,)), names))
        if len(job.keys() & _NAMING):
            yield from _others(name, job, jobs)
    yield from _circles(needed)


def _are_fine(name: str, needed: list[str], jobs: Jobs) -> bool:
    """Whether nothing is wrong with needs, told fast; most have many jobs with many needs each."""
    positions, own, longest = jobs.positions, jobs.position(name), jobs.max_needed_name
    if own is None or len(set(needed)) < len(needed):
        return False
    stages = [positions.get(need) for need in needed]
    return all(len(need) <= longest for need in needed) and all(stage is not None and stage <= own for stage in stages)


def _others(name: str, job: Mapping[str, Any], jobs: Jobs) -> Iterator[Finding]:
    for dependency in as_list(job.get("dependencies")):
        for copy in jobs.copies.get(dependency, (dependency,)):
            yield from _named(Finding(name, "dependencies", ""), copy, jobs)
    yield from _trigger(name, job, jobs)
    yield from _stopped_by(name, job, jobs)


def _no_stage(name: str, job: Mapping[str, Any], jobs: Jobs) -> Finding:
    stage = job.get("stage")
    which = f"'{stage}'" if stage is not None else f"'{DEFAULT_STAGE}', which a job without 'stage' belongs to,"
    return Finding(name, "stage", f"{which} is none of the stages: {', '.join(jobs.stages) or 'there are none'}")


def _all_needs(job: Mapping[str, Any]) -> Iterator[tuple[str, list[Any]]]:
    if job.get("needs") is not None:
        yield "needs", local_needs(job["needs"])
    for rule in flattened(job.get("rules")):
        if isinstance(rule, Mapping) and rule.get("needs") is not None:
            yield "rules:needs", local_needs(rule["needs"])


def _needs(about: Finding, needs: list[Any], jobs: Jobs) -> Iterator[Finding]:
    names: list[str] = []
    for need in needs:
        copies = _copies_needed(need, jobs)
        names += copies
        optional = isinstance(need, Mapping) and need.get("optional") is True
        for copy in copies:
            if jobs.copies and _OF_MATRIX.search(copy):
                continue  # a value of the job's own matrix; known when it is copied
            yield from _named(about, copy, jobs, optional=optional)
    for copy, times in Counter(names).items():
        if times > 1:
            yield Finding(about.job, about.keyword, f"'{copy}' is needed {times} times")


def _copies_needed(need: Any, jobs: Jobs) -> list[str]:
    wanted = need_name(need)
    if wanted not in jobs.copies:
        return [wanted]
    parallel = need.get("parallel") if isinstance(need, Mapping) else None
    return list(jobs.copies[wanted] if parallel is None else copy_names(wanted, parallel))


def _named(about: Finding, wanted: str, jobs: Jobs, *, optional: bool = False) -> Iterator[Finding]:
    if wanted not in jobs.positions:
        if not optional and jobs.is_complete:
            yield Finding(about.job, about.keyword, f"'{wanted}' is not in this pipeline")
        return
    if "needs" in about.keyword and len(wanted) > jobs.max_needed_name:
        message = f"'{wanted}' has {len(wanted)} characters, GitLab allows {jobs.max_needed_name} where it is needed"
        yield Finding(about.job, about.keyword, message)
    own, theirs = jobs.position(about.job), jobs.positions[wanted]
    if own is not None and theirs is not None and theirs > own:
        yield Finding(about.job, about.keyword, f"'{wanted}' belongs to a later stage")


def _trigger(name: str, job: Mapping[str, Any], jobs: Jobs) -> Iterator[Finding]:
    trigger = job.get("trigger")
    includes = trigger.get("include") if isinstance(trigger, Mapping) else None
    for include in as_list(includes):
        if isinstance(include, Mapping) and include.get("job") is not None:
            yield from _named(Finding(name, "trigger:include", ""), str(include["job"]), jobs)


def _stopped_by(name: str, job: Mapping[str, Any], jobs: Jobs) -> Iterator[Finding]:
    environment = job.get("environment")
    stopping = environment.get("on_stop") if isinstance(environment, Mapping) else None
    if not isinstance(environment, Mapping) or stopping is None:
        return
    other = jobs.by_name.get(stopping)
    if other is None:
        if jobs.is_complete:
            yield Finding(name, "environment:on_stop", f"'{stopping}' is not in this pipeline")
        return
    theirs = other.get("environment")
    theirs = theirs if isinstance(theirs, Mapping) else {"name": theirs}
    if theirs.get("name") != environment.get("name"):
        yield Finding(name, "environment:on_stop", f"'{stopping}' has another environment")
    elif theirs.get("action") != "stop":
        yield Finding(name, "environment:on_stop", f"'{stopping}' must have 'environment:action: stop'")


def _circles(needed: Mapping[str, list[str]]) -> Iterator[Finding]:
    try:
        TopologicalSorter(needed).prepare()
    except CycleError as error:
        circle = error.args[1]
        yield Finding(circle[-1], "needs", f"the job needs itself: {' -> '.join(reversed(circle))}")
