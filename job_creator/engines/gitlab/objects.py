"""GitLab's nouns as frozen values. Nothing here decides anything; `None` means that a keyword is absent, and every
other value, `False`, `0` and the empty list included, is written.

Source of the keywords: GitLab docs, "CI/CD YAML syntax reference".
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, Protocol, TypeVar

from job_creator.engines.gitlab.sizes import parsed_size

MAX_HIDDEN_NAME = 15
HIDDEN_ENTRY = 140
"""About the bytes that a hidden job takes besides what it says: its name, and its place in the table of jobs."""

RunCondition = Literal["on_success", "always"]

INFRASTRUCTURE_FAILURES = (
    "api_failure",
    "runner_system_failure",
    "scheduler_failure",
    "stuck_or_timeout_failure",
    "unknown_failure",
)
"""Failures that say nothing about the job itself (`retry:when`); only these are worth another try."""


MAX_RESOURCE_GROUP = 255


def resource_group(text: str) -> str:
    """A name for a resource group that GitLab takes, whatever the text is; equal texts give equal names.

    Letters, digits, spaces and `-_/${}.`, no `/` at either end (GitLab docs, `resource_group`); others become `-`.
    """
    return re.sub(r"[^A-Za-z0-9_/${}. -]", "-", text)[:MAX_RESOURCE_GROUP].strip("/") or "-"


@dataclass(frozen=True, slots=True)
class Need:
    """A job that must have ended before, and whose artifacts are fetched; `pipeline` names another pipeline's job."""

    job: str
    pipeline: str | None = None
    artifacts: bool = True

    def document(self) -> Any:
        """As GitLab reads it; the short form costs a quarter of the memory that GitLab counts."""
        if self.pipeline is not None:
            return {"pipeline": self.pipeline, "job": self.job, "artifacts": self.artifacts}
        return self.job if self.artifacts else {"job": self.job, "artifacts": False}


@dataclass(frozen=True, slots=True)
class Artifacts:
    """Files that a job leaves for others."""

    paths: tuple[str, ...] = ()
    expire_in: str = "2 weeks"
    when: Literal["on_success", "always"] = "on_success"
    dotenv: str | None = None
    metrics: str | None = None
    """The file of a metrics report."""

    def document(self) -> dict[str, Any]:
        """The keyword `artifacts:` as GitLab reads it."""
        named = {"dotenv": self.dotenv, "metrics": self.metrics}
        reports = {kind: file for kind, file in named.items() if file}
        paths = {"paths": list(self.paths)} if self.paths else {}
        return {**paths, **({"reports": reports} if reports else {}), "when": self.when, "expire_in": self.expire_in}


@dataclass(frozen=True, slots=True)
class Job:
    """A job with a script. Its variables hold references to CI variables, never secrets."""

    name: str
    kind: str
    """Jobs of one kind share a hidden job that holds what they have in common (`AnyJob.kind`)."""
    stage: str
    script: tuple[str, ...]
    image: str
    tags: tuple[str, ...]
    needs: tuple[Need, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    artifacts: Artifacts | None = None
    timeout: str = "1 hour"
    interruptible: bool = True
    resource_group: str | None = None
    run: RunCondition = "on_success"
    may_fail: bool = False
    """Whether the pipeline counts as passed although this job failed; it shows a warning then."""

    def __post_init__(self) -> None:
        """Whatever place a resource group is called after, its name is one that GitLab takes."""
        if self.resource_group is not None:
            object.__setattr__(self, "resource_group", resource_group(self.resource_group))

    def document(self) -> dict[str, Any]:
        """All keywords of the job, in the order in which people read them."""
        optional: dict[str, Any] = {
            "variables": dict(self.variables) or None,
            "artifacts": self.artifacts.document() if self.artifacts else None,
            "resource_group": self.resource_group,
            "allow_failure": True if self.may_fail else None,
        }
        return {
            "stage": self.stage,
            "image": {"name": self.image, "entrypoint": [""]},
            "tags": list(self.tags),
            # A child pipeline has this source whatever started its parent; without a rule its jobs would be left out
            # under merge requests.
            "rules": [{"if": '$CI_PIPELINE_SOURCE == "parent_pipeline"', "when": self.run}],
            "needs": [need.document() for need in self.needs],
            "script": list(self.script),
            "timeout": self.timeout,
            "retry": {"max": 2, "when": list(INFRASTRUCTURE_FAILURES)},
            "interruptible": self.interruptible,
            **{keyword: value for keyword, value in optional.items() if value is not None},
        }


@dataclass(frozen=True, slots=True)
class RawJob:
    """A job whose keywords somebody else wrote, Spack for example, ready to be written; also trigger jobs."""

    name: str
    kind: str
    keywords: Mapping[str, Any]

    @property
    def stage(self) -> str:
        """The stage that its keywords name."""
        return str(self.keywords.get("stage", "test"))

    def document(self) -> dict[str, Any]:
        """All keywords of the job."""
        return dict(self.keywords)


class AnyJob(Protocol):
    """A job, a bridge, or a job that is already written as GitLab reads it."""

    @property
    def name(self) -> str:
        """Its name in the pipeline, by which other jobs need it."""

    @property
    def kind(self) -> str:
        """Jobs of one kind share a hidden job; the kinds `a/b` and `a/c` share one more, `.a`."""

    @property
    def stage(self) -> str:
        """The stage it belongs to."""

    def document(self) -> dict[str, Any]:
        """All its keywords, as GitLab reads them."""


J = TypeVar("J", bound=AnyJob)


@dataclass(frozen=True, slots=True)
class Pipeline(Generic[J]):
    """A pipeline: its stages in order, and its jobs."""

    stages: tuple[str, ...]
    jobs: tuple[J, ...]

    def job(self, name: str) -> J:
        """The job of that name. Raises `KeyError`."""
        return {job.name: job for job in self.jobs}[name]

    def document(self) -> dict[str, Any]:
        """The pipeline as GitLab reads it. What jobs of one kind have in common stands once, in a hidden job."""
        used = [stage for stage in self.stages if any(job.stage == stage for job in self.jobs)]
        jobs = [(job.name, job.kind, job.document()) for job in self.jobs]
        # A child does not inherit this; without it nothing is cancelled once one job has run that may not be.
        cancel = {"on_new_commit": "interruptible"}
        return {"workflow": {"auto_cancel": cancel, "rules": [{"when": "always"}]}, "stages": used, **_hoist(jobs)}


def expand(document: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The jobs of a pipeline document with `extends` resolved: mappings merge deeply, all else is replaced.

    Source: GitLab docs, `extends`. Raises `KeyError` for a base that is not there and `RecursionError` for a circle.
    """
    reserved = {"workflow", "default", "variables", "include", "spec", "image", "cache"}
    jobs = [name for name, value in document.items() if isinstance(value, Mapping) and name not in reserved]

    known: dict[str, dict[str, Any]] = {}

    def resolved(name: str) -> dict[str, Any]:
        own = dict(document[name])
        bases = own.pop("extends", [])
        result: dict[str, Any] = {}
        for base in [bases] if isinstance(bases, str) else bases:
            if base not in known:
                known[base] = resolved(base)
            result = _merged(result, known[base])
        return _merged(result, own)

    return {name: resolved(name) for name in jobs if not name.startswith(".")}


def _hidden_names(kinds: Iterable[str]) -> dict[str, str]:
    """A name for each kind's hidden job, of 15 characters at most: longer ones take twice the memory in every job."""
    names: dict[str, str] = {}
    for kind in dict.fromkeys(kinds):
        called = kind.rpartition("/")[2]
        name = f".{called}"
        if len(name) > MAX_HIDDEN_NAME or name in names.values():
            name = f".{called[: MAX_HIDDEN_NAME - 5]}~{len(names)}"
        names[kind] = name
    return names


def _hoist(jobs: Sequence[tuple[str, str, dict[str, Any]]]) -> dict[str, Any]:
    """The jobs, given with kind and document, with hidden ones that hold what several of them say.

    `extends` goes from a job to those that say exactly the same, to its kind, to its family of kinds, as far as there
    are such; GitLab follows it ten levels deep.
    """
    families = _families(kind for _, kind, _ in jobs)
    names = _hidden_names([*(kind for _, kind, _ in jobs), *families.values()])
    of_kind: dict[str, list[dict[str, Any]]] = {}
    for _, kind, document in jobs:
        of_kind.setdefault(kind, []).append(document)
    shared = {kind: _common(documents) for kind, documents in of_kind.items()}
    of_family = {
        family: _common([shared[kind] for kind in families if families[kind] == family])
        for family in dict.fromkeys(families.values())
    }
    hidden = {names[family]: common for family, common in of_family.items() if common}
    hidden |= {names[kind]: shared[kind] for kind in of_kind if len(of_kind[kind]) > 1 and shared[kind]}
    kinds = {names[kind]: kind for kind in of_kind}
    result = {
        name: _extending(names.get(families.get(kinds.get(name, ""), ""), ""), common, hidden)
        for name, common in hidden.items()
    }
    for name, kind, document in jobs:
        base = names[kind] if names[kind] in hidden else names.get(families.get(kind, ""), "")
        result[name] = _extending(base, document, hidden)
    return _told_once(result, [name for name, _, _ in jobs])


def _extending(base: str, document: Mapping[str, Any], hidden: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What a document says besides the hidden job of that name, where there is one."""
    return {"extends": base, **_without(document, hidden[base])} if base in hidden else dict(document)


def _told_once(document: dict[str, Any], jobs: Iterable[str]) -> dict[str, Any]:
    """The same, with a hidden job for what several jobs say word for word, where that takes less room."""
    alike: dict[str, list[str]] = {}
    for name in jobs:
        if "extends" in document[name] and len(document[name]) > 1:
            alike.setdefault(json.dumps(document[name]), []).append(name)
    hidden: dict[str, Any] = {}
    told: dict[str, Any] = {}
    for names in alike.values():
        if len(names) == 1:
            continue
        whole = document[names[0]]
        short = {"extends": f"{whole['extends'][: MAX_HIDDEN_NAME - 4]} {len(hidden) + 1}"}
        if parsed_size(whole) + HIDDEN_ENTRY + len(names) * parsed_size(short) < len(names) * parsed_size(whole):
            hidden[short["extends"]] = whole
            told |= dict.fromkeys(names, short)
    bases = {name: value for name, value in document.items() if name.startswith(".")}
    return {**bases, **hidden, **{name: told.get(name, value) for name, value in document.items() if name not in bases}}


def _families(kinds: Iterable[str]) -> dict[str, str]:
    """The families, by kind, of those that have more than one kind."""
    found = {kind: kind.partition("/")[0] for kind in kinds if "/" in kind}
    members = Counter(found.values())
    return {kind: family for kind, family in found.items() if members[family] > 1}


def _common(documents: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    first, *others = documents
    result: dict[str, Any] = {}
    for key, value in first.items():
        if all(key in other and other[key] == value for other in others):
            result[key] = value
        elif isinstance(value, Mapping) and all(isinstance(other.get(key), Mapping) for other in others):
            inner = _common([document[key] for document in documents])
            if inner:
                result[key] = inner
    return result


def _without(document: Mapping[str, Any], shared: Mapping[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in document.items():
        if key not in shared:
            result[key] = value
        elif shared[key] != value:
            result[key] = _without(value, shared[key])
    return result


def _merged(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in own.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = _merged(result[key], value) if both else value
    return result
