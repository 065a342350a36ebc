"""The jobs of package pipelines, before anybody lays them out: which packages share one, and what each is."""

from __future__ import annotations

import json
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from statistics import median
from typing import Any

from foundation.gitlab import duration_seconds
from foundation.graph import Edges
from job_creator.builds import node_step
from job_creator.builds.durations import Durations
from job_creator.builds.fusion import FusionRules, Groups, fuse, quotient, seconds_of
from job_creator.builds.fusion_choice import Judges, choose
from job_creator.builds.merge import Merged, merge
from job_creator.builds.steps import Demands, Step, nothing_known
from job_creator.engines.gitlab.generated import Generated
from job_creator.engines.gitlab.jobs.packages import PackagePlace, package_job, waiting
from job_creator.engines.gitlab.names import ARTIFACTS_VARIABLE, HASH_VARIABLE, NAME_VARIABLE
from job_creator.engines.gitlab.objects import RawJob
from job_creator.engines.gitlab.package_names import hash_length, job_names
from job_creator.site.gitlab import Fuse

TIMEOUT_SHARE = 4
"""So many times as long as expected may a job with several packages take before it runs out of time."""


@dataclass(frozen=True, slots=True)
class FusionRequest:
    """Whether packages share jobs, what is known of how long they take, and what a job costs."""

    fuse: Fuse = "off"
    durations: Durations = field(default_factory=Durations)
    start: float = 45.0
    """Seconds that a job takes before it builds anything; part of what each step is expected to take."""


@dataclass(frozen=True)
class PackageWork:
    """The steps that are to be laid out, the pipelines that Spack generated for them, and where they run."""

    merged: Merged
    generated: tuple[Generated, ...]
    """By the names of their containers."""
    place: PackagePlace
    groups: Mapping[str, tuple[str, ...]]
    """DAG hashes of the packages that a job builds, dependencies first; by that of the package it is called after."""
    asked: FusionRequest = FusionRequest()

    @cached_property
    def apart(self) -> PackageWork:
        """The same with a job for each package."""
        return replace(self, groups={key: (key,) for key in self.merged.steps})

    def fused(self, edges: Edges, cells: Mapping[str, str]) -> PackageWork:
        """The same with packages that share jobs, as far as that lengthens nothing where packages wait like that.

        Packages share none across cells.
        """
        found = _groups(self.apart, edges, cells)
        if len(found) == len(self.merged.steps):
            return self.apart
        return replace(self, groups={_called_after(steps, self.merged): steps for steps in found})

    @property
    def is_judged(self) -> bool:
        """Whether packages share jobs only as far as nothing takes longer for it, and any do."""
        return self.asked.fuse == "auto" and len(self.groups) < len(self.merged.steps)

    @cached_property
    def judges(self) -> Judges:
        """Scenarios to hold layouts against each other by."""
        return Judges(self.merged.seconds, self.measured, self.asked.start)

    @cached_property
    def measured(self) -> frozenset[str]:
        """DAG hashes of the packages of which somebody measured how long they take."""
        known = self.asked.durations.measured
        return frozenset(key for key, step in self.merged.steps.items() if step.package in known)

    @property
    def unmeasured(self) -> int:
        """How many packages are none of them, where that counts."""
        return 0 if self.asked.fuse == "off" else len(self.merged.steps) - len(self.measured)

    @cached_property
    def origins(self) -> Mapping[str, Generated]:
        """The pipeline that each step is taken from, by DAG hash."""
        return {key: one for one in reversed(self.generated) for key in one.jobs}

    @cached_property
    def edges(self) -> Edges:
        """The fewest needs between jobs."""
        if len(self.groups) == len(self.merged.steps):
            return self.merged.edges
        leader = {steps[0]: key for key, steps in self.groups.items()}
        needs = quotient(self.merged.edges, tuple(self.groups.values()))
        return {leader[key]: frozenset(leader[one] for one in needed) for key, needed in sorted(needs.items())}

    @cached_property
    def seconds(self) -> Mapping[str, float]:
        """What jobs are expected to take."""
        return self.taken(self.merged.seconds)

    def taken(self, seconds: Mapping[str, float]) -> dict[str, float]:
        """What jobs take where packages take so many seconds, by DAG hash."""
        leader = {steps[0]: key for key, steps in self.groups.items()}
        found = seconds_of(tuple(self.groups.values()), seconds, self.asked.start)
        return {leader[key]: taken for key, taken in found.items()}

    @cached_property
    def hashes(self) -> frozenset[str]:
        """The DAG hashes of everything in these environments, also of what needs no build."""
        graphs = [one.graph for one in self.merged.environments if one.graph]
        return frozenset(self.merged.steps).union(*(graph.packages for graph in graphs))

    @cached_property
    def names(self) -> Mapping[str, str]:
        """The names of the jobs, by the DAG hash of the package that they are called after."""
        others = {key: len(steps) - 1 for key, steps in self.groups.items()}
        steps = {key: self.merged.steps[key] for key in self.groups}
        return job_names(steps, self.hashes, self.place.site.gitlab.limits.max_needed_name, others)

    @property
    def built_by(self) -> Mapping[str, str]:
        """The same the other way round."""
        return {name: key for key, name in self.names.items()}

    def is_fused(self, key: str) -> bool:
        """Whether a job builds several packages."""
        return len(self.groups[key]) > 1

    def runs_always(self, key: str, needed: Collection[str]) -> bool:
        """Whether a job runs whatever became of those that it needs.

        One that builds several packages may need only some of what failed, and one that needs such a job may need what
        that built before it failed.
        """
        return self.is_fused(key) or any(map(self.is_fused, needed))

    def job(self, key: str, needs: Sequence[str], *, always: bool = False) -> RawJob:
        """A job, by the hash that it is called after; `needs` are names of other jobs of its pipeline."""
        return waiting(self._jobs[key], needs, always=always)

    @cached_property
    def _jobs(self) -> Mapping[str, RawJob]:
        """All jobs as they are in any pipeline, without what they wait for."""

        def job(key: str) -> RawJob:
            members = [self.merged.steps[one] for one in self.groups[key]] if self.is_fused(key) else []
            packages = " ".join(f"{one.named}/{one.hash[: self._letters]}" for one in members)
            return package_job(
                self.merged.steps[key], self.names[key], self.origins[key], self.place, packages=packages
            )

        return {key: job(key) for key in self.groups}

    @cached_property
    def _letters(self) -> int:
        return hash_length(self.hashes)


def package_work(
    generated: Iterable[Generated],
    place: PackagePlace,
    demands: Demands = nothing_known,
    fusion: FusionRequest | None = None,
) -> PackageWork:
    """Merge what Spack generated for all containers of an architecture. Raises `InvalidInputError`."""
    every = tuple(sorted(generated, key=lambda one: one.container))
    merged = merge((one.builds for one in every), demands)
    asked = fusion or FusionRequest()
    work = PackageWork(merged, every, place, {key: (key,) for key in merged.steps}, asked)
    return work if asked.fuse == "off" else work.fused(merged.edges, {})


def _groups(work: PackageWork, edges: Edges, cells: Mapping[str, str]) -> Groups:
    asked = work.asked
    keywords = {key: _keywords(step, work) for key, step in work.merged.steps.items()}
    timeouts = {key: duration_seconds(str(one["timeout"])) for key, one in keywords.items()}
    most = float(asked.fuse) if not isinstance(asked.fuse, str) else FusionRules().work
    usual = median(timeouts.values()) if timeouts else 0.0
    rules = FusionRules(start=asked.start, work=max(0.0, min(most, usual / TIMEOUT_SHARE - asked.start)))
    shortest = TIMEOUT_SHARE * (rules.start + rules.work)
    alike: dict[str, Hashable] = {
        key: (cells.get(key), json.dumps(one, sort_keys=True))
        if _may_share(one, work.merged.steps[key], work.origins[key]) and timeouts[key] >= shortest
        else key
        for key, one in keywords.items()
    }
    seconds = work.merged.seconds
    if isinstance(asked.fuse, str):
        return choose(edges, seconds, work.measured, rules, alike.__getitem__).groups
    return fuse(edges, [seconds], rules, alike.__getitem__)


def _keywords(step: Step, work: PackageWork) -> dict[str, Any]:
    """What the job of a step says besides which package it is."""
    keywords = dict(work.job(step.hash, ()).keywords)
    told = (HASH_VARIABLE, NAME_VARIABLE)
    return {**keywords, "variables": {name: text for name, text in keywords["variables"].items() if name not in told}}


def _may_share(keywords: Mapping[str, Any], step: Step, origin: Generated) -> bool:
    """Whether the job runs the program that can build several packages, and nothing that asks which one it is.

    The first line of the first script is ours; it tells the others.
    """
    scripts = [keywords.get(key) or [] for key in ("before_script", "script", "after_script")]
    lines = [str(line) for script in scripts for line in ([script] if isinstance(script, str) else script)]
    asks = any("SPACK_JOB_SPEC" in line or "CI_JOB_NAME" in line for line in lines[1:])
    return node_step.runs(step.command) and ARTIFACTS_VARIABLE in origin.variables and not asks


def _called_after(steps: Sequence[str], merged: Merged) -> str:
    """The package that takes longest, which is what people look for; of several the last one."""
    return max(reversed(steps), key=lambda key: merged.steps[key].demand.seconds)
