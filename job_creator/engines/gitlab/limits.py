"""What GitLab refuses, checked before it can: named rules over a pipeline document as it is about to be written.

Sources: GitLab docs, "CI/CD limits" and "CI/CD YAML syntax reference"; the parsed size follows
lib/gitlab/utils/deep_size.rb, measured with Ruby 3.1.2 and 3.3.8.
"""

from __future__ import annotations

import math
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from graphlib import CycleError, TopologicalSorter
from itertools import chain
from typing import Any, Final, NamedTuple

from foundation.errors import LimitExceededError
from job_creator.engines.gitlab.objects import expand
from job_creator.site.gitlab import Limits

MAX_NAME: Final = 255
MAX_NEEDED_NAME: Final = 128
MAX_CROSS_PIPELINE_NEEDS: Final = 5
MAX_TRIGGER_INCLUDES: Final = 3
PARSED_SIZE_SAFETY: Final = 1.1
"""For Rubies that were not measured."""


class _Ruby(NamedTuple):
    """How a version of Ruby lays objects out; all figures are bytes but `smallest_table`, which counts entries."""

    slots: tuple[int, ...]
    string_header: int
    small_mapping: int
    mapping_header: int
    smallest_table: int


RUBY_3_1: Final = _Ruby((40,), 16, 168, 96, 32)
RUBY_3_3: Final = _Ruby((40, 80, 160, 320, 640), 24, 160, 160, 16)

_DEFAULT_STAGES = ("build", "test", "deploy")
_TRIGGER_KEYS = frozenset(
    [
        "allow_failure",
        "environment",
        "except",
        "extends",
        "inherit",
        "inputs",
        "interruptible",
        "needs",
        "only",
        "parallel",
        "resource_group",
        "rules",
        "stage",
        "trigger",
        "variables",
        "when",
    ]
)


@dataclass(frozen=True, slots=True)
class LimitFinding:
    """One thing that GitLab would refuse: the rule, the job (empty for the whole pipeline), and the fact."""

    rule: str
    job: str
    message: str

    def __str__(self) -> str:
        """`job: message [rule]`."""
        return f"{self.job or 'pipeline'}: {self.message} [{self.rule}]"


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

    findings: tuple[LimitFinding, ...]
    headroom: tuple[Headroom, ...]

    def require(self, name: str) -> None:
        """Raise `LimitExceededError` if GitLab would refuse the pipeline, naming it and every finding."""
        if self.findings:
            lines = "\n".join(f"  {finding}" for finding in self.findings)
            raise LimitExceededError(f"{name}: GitLab would refuse this pipeline\n{lines}")


@dataclass(frozen=True)
class _Subject:
    document: Mapping[str, Any]
    jobs: Mapping[str, Mapping[str, Any]]
    limits: Limits
    depth: int

    @property
    def stages(self) -> tuple[str, ...]:
        stages = self.document.get("stages", _DEFAULT_STAGES)
        return (".pre", *(stage for stage in stages if stage not in (".pre", ".post")), ".post")


def check(
    document: Mapping[str, Any], limits: Limits, *, depth: int = 0, archive: Mapping[str, bytes] | None = None
) -> LimitReport:
    """Hold a pipeline document against the limits.

    `depth` counts the parents that the pipeline will have (the root has none); `archive` are the files that the
    generating job uploads together with it, by name, whose zip a trigger includes.
    """
    try:
        jobs = expand(document)
    except KeyError as error:
        return LimitReport((LimitFinding("extends", "", f"extends {error} which is not there"),), ())
    except RecursionError:
        return LimitReport((LimitFinding("extends", "", "extends goes round in a circle"),), ())
    subject = _Subject(document, jobs, limits, depth)
    headroom = [
        Headroom("parsed size (bytes)", math.ceil(parsed_size(document) * PARSED_SIZE_SAFETY), limits.max_yaml_bytes),
        Headroom("YAML depth", _depth(document), limits.max_yaml_depth),
        Headroom(
            "needs of one job", max((len(_local_needs(job)) for job in jobs.values()), default=0), limits.max_needs
        ),
    ]
    if limits.max_jobs is not None:
        headroom.append(Headroom("jobs", len(jobs), limits.max_jobs))
    if archive is not None:
        headroom.append(Headroom("artifacts archive (bytes)", archive_size(archive), limits.max_artifact_bytes))
        largest = max(map(len, archive.values()), default=0)
        headroom.append(Headroom("largest file in it (bytes)", largest, limits.max_artifact_bytes))
    over = [
        LimitFinding("limit", "", f"{room.name}: {room.used:,} of {room.limit:,}")
        for room in headroom
        if room.used > room.limit
    ]
    return LimitReport((*over, *chain.from_iterable(rule(subject) for rule in RULES)), tuple(headroom))


def parsed_size(value: object) -> int:
    """The memory in bytes that GitLab counts for a parsed value: every string, list and mapping, shared or not.

    The larger of what Ruby 3.1 and Ruby 3.3 take on 64 bits: `ObjectSpace.memsize_of` of what `YAML.load` returns.
    """
    return max(_total(value, RUBY_3_1), _total(value, RUBY_3_3))


def archive_size(files: Mapping[str, bytes]) -> int:
    """The size in bytes of the zip archive that a runner makes of the files (deflate, one entry each)."""
    entry = 30 + 46 + 2 * 24  # local header, central directory, time stamps in both
    return 22 + sum(entry + 2 * len(name.encode()) + len(zlib.compress(content)) for name, content in files.items())


def _total(value: object, ruby: _Ruby) -> int:
    if isinstance(value, str):
        return _string_size(len(value.encode()), ruby)
    if isinstance(value, Mapping):
        entries = sum(_total(key, ruby) + _total(inner, ruby) for key, inner in value.items())
        return entries + _mapping_size(len(value), ruby)
    if isinstance(value, list | tuple):
        return _list_size(len(value)) + sum(_total(inner, ruby) for inner in value)
    return 0


@lru_cache(maxsize=2048)
def _string_size(length: int, ruby: _Ruby) -> int:
    """Longer strings than fit into a slot stand outside of it; the NUL at the end counts."""
    fitting = next((slot for slot in ruby.slots if length + ruby.string_header < slot), None)
    return fitting or 41 + length


@lru_cache(maxsize=2048)
def _list_size(length: int) -> int:
    """Lists grow by a half, and by 16 at least, whenever they are full."""
    if length <= 3:
        return 40
    capacity = 3
    while capacity < length:
        capacity += 1 + max(16, capacity // 2)
    return 40 + 8 * capacity


@lru_cache(maxsize=2048)
def _mapping_size(entries: int, ruby: _Ruby) -> int:
    """Up to 8 entries stand in the object; more have a table of a power of two, and bins of one, two or four bytes."""
    if entries <= 8:
        return ruby.small_mapping
    slots = max(ruby.smallest_table, 1 << (entries - 1).bit_length())
    width = 0 if slots <= 16 else 1 if slots * 2 <= 256 else 2 if slots * 2 <= 65536 else 4
    return ruby.mapping_header + 24 * slots + 2 * slots * width


def _depth(value: object) -> int:
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else None
    return 0 if inner is None else 1 + max(map(_depth, inner), default=0)


def _empty(subject: _Subject) -> Iterator[LimitFinding]:
    if not subject.jobs:
        yield LimitFinding("empty", "", "no job at all; a child pipeline must have one")


def _names(subject: _Subject) -> Iterator[LimitFinding]:
    needed = {name for job in subject.jobs.values() for name in _local_needs(job)}
    for name, job in subject.jobs.items():
        longest = len(name) + max((len(label) for label in _matrix_labels(job)), default=0)
        if longest > MAX_NAME:
            yield LimitFinding("name", name, f"the name has {longest} characters, GitLab allows {MAX_NAME}")
        elif name in needed and len(name) > MAX_NEEDED_NAME:
            yield LimitFinding(
                "name", name, f"needed by others, so at most {MAX_NEEDED_NAME} characters; it has {len(name)}"
            )


def _stages(subject: _Subject) -> Iterator[LimitFinding]:
    for name, job in subject.jobs.items():
        if job.get("stage", "test") not in subject.stages:
            yield LimitFinding("stage", name, f"stage {job.get('stage', 'test')!r} is not in 'stages'")


def _work(subject: _Subject) -> Iterator[LimitFinding]:
    for name, job in subject.jobs.items():
        if not any(job.get(keyword) for keyword in ("script", "trigger", "run")):
            yield LimitFinding("work", name, "has neither script nor trigger")


def _needs(subject: _Subject) -> Iterator[LimitFinding]:
    order = {stage: index for index, stage in enumerate(subject.stages)}
    for name, job in subject.jobs.items():
        names = _local_needs(job)
        for need, times in Counter(names).items():
            other = subject.jobs.get(need)
            if other is None:
                if need not in _optional_needs(job):
                    yield LimitFinding("needs", name, f"needs {need!r}, which is not in this pipeline")
            elif order.get(other.get("stage", "test"), 0) > order.get(job.get("stage", "test"), 0):
                yield LimitFinding("needs", name, f"needs {need!r} of a later stage")
            if times > 1:
                yield LimitFinding("needs", name, f"needs {need!r} {times} times")
        elsewhere = len(job.get("needs", ())) - len(names)
        if elsewhere > MAX_CROSS_PIPELINE_NEEDS:
            message = f"needs {elsewhere} jobs of other pipelines, GitLab allows {MAX_CROSS_PIPELINE_NEEDS}"
            yield LimitFinding("needs", name, message)


def _cycles(subject: _Subject) -> Iterator[LimitFinding]:
    try:
        TopologicalSorter({name: _local_needs(job) for name, job in subject.jobs.items()}).prepare()
    except CycleError as error:
        circle = error.args[1]
        yield LimitFinding("cycle", circle[0], f"needs itself: {' -> '.join(reversed(circle))}")


def _matrices(subject: _Subject) -> Iterator[LimitFinding]:
    for name, job in subject.jobs.items():
        count = len(_matrix_labels(job))
        if count > subject.limits.max_matrix:
            yield LimitFinding("matrix", name, f"expands to {count} jobs, GitLab allows {subject.limits.max_matrix}")


def _triggers(subject: _Subject) -> Iterator[LimitFinding]:
    for name, job in subject.jobs.items():
        if "trigger" not in job:
            continue
        for keyword in sorted(set(job) - _TRIGGER_KEYS):
            yield LimitFinding("trigger", name, f"a trigger job cannot have {keyword!r}")
        if len(job.get("needs", ())) > len(_local_needs(job)):
            yield LimitFinding("trigger", name, "a trigger job cannot need jobs of other pipelines")
        if subject.depth >= subject.limits.max_child_depth:
            yield LimitFinding(
                "trigger", name, f"child pipelines go {subject.limits.max_child_depth} levels deep at most"
            )
        yield from _includes(subject, name, job)


def _includes(subject: _Subject, name: str, job: Mapping[str, Any]) -> Iterator[LimitFinding]:
    trigger = job["trigger"]
    includes = trigger.get("include", []) if isinstance(trigger, Mapping) else []
    includes = includes if isinstance(includes, list) else [includes]
    if len(includes) > MAX_TRIGGER_INCLUDES:
        yield LimitFinding("trigger", name, f"includes {len(includes)} files, GitLab allows {MAX_TRIGGER_INCLUDES}")
    for include in includes:
        if not isinstance(include, Mapping) or "artifact" not in include:
            continue
        if not str(include["artifact"]).endswith((".yml", ".yaml")):
            yield LimitFinding("trigger", name, f"the artifact {include['artifact']!r} must end in .yml or .yaml")
        generator = include.get("job")
        if generator not in subject.jobs:
            yield LimitFinding("trigger", name, f"takes its YAML from {generator!r}, which is not in this pipeline")
        elif "needs" in job and generator not in _local_needs(job):
            yield LimitFinding("trigger", name, f"takes its YAML from {generator!r} without needing it")


def _local_needs(job: Mapping[str, Any]) -> list[str]:
    return [
        need if isinstance(need, str) else need["job"]
        for need in job.get("needs", ())
        if isinstance(need, str) or ("job" in need and not {"pipeline", "project"} & set(need))
    ]


def _optional_needs(job: Mapping[str, Any]) -> set[str]:
    return {need["job"] for need in job.get("needs", ()) if isinstance(need, Mapping) and need.get("optional")}


def _matrix_labels(job: Mapping[str, Any]) -> list[str]:
    """What GitLab appends to the names of a job's copies (` 1/3`, `: [a, b]`)."""
    parallel = job.get("parallel")
    if isinstance(parallel, int):
        return [f" {parallel}/{parallel}"] * parallel
    if not isinstance(parallel, Mapping):
        return []
    labels: list[str] = []
    for entry in parallel.get("matrix", ()):
        combinations = [""]
        for values in entry.values():
            options = values if isinstance(values, list) else [values]
            combinations = [f"{label}, {option}" for label in combinations for option in options][:100_000]
        labels += [f": [{label[2:]}]" for label in combinations]
    return labels


Rule = Callable[[_Subject], Iterator[LimitFinding]]
RULES: Final[tuple[Rule, ...]] = (_empty, _names, _stages, _work, _needs, _cycles, _matrices, _triggers)
