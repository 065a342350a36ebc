"""The verdict on a pipeline, of what is written or about to be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from job_creator.engines.gitlab.verdict import references
from job_creator.engines.gitlab.verdict.keywords import (
    ALSO_IN_DEFAULT,
    INCLUDES,
    JOB,
    OF_EDITION,
    PIPELINE,
    TRIGGER_JOB,
)
from job_creator.engines.gitlab.verdict.reading import PipelineText
from job_creator.engines.gitlab.verdict.resolving import NotHereError, resolved
from job_creator.engines.gitlab.verdict.shapes import Problem, Shape, close_to, shown
from job_creator.engines.gitlab.verdict.values import (
    Finding,
    UnreadableError,
    as_list,
    flattened,
    is_blank,
    is_text,
)

MAX_NAME: Final = 255

_RESERVED: Final = frozenset(PIPELINE) - {"default", "workflow"}
"""Names that no job can have; the other two are jobs where they look like one."""
_KINDS_OF_INCLUDES: Final = ("local", "project", "remote", "template", "artifact", "component")


@dataclass
class _Tables:
    """Shapes of keywords, each value asked about once, however many jobs share it."""

    is_enterprise: bool
    is_partial: bool
    """Whether other files may bring what is missing."""
    problems: dict[tuple[str, bool, int], list[Problem]] = field(default_factory=dict)

    def check(self, keyword: str, value: Any, table: Mapping[str, Shape]) -> list[Problem]:
        key = (keyword, table is JOB, id(value))
        if key not in self.problems:
            found = table[keyword](value)
            self.problems[key] = [one for one in found if not self._is_fine(one)]
        return self.problems[key]

    def _is_fine(self, problem: Problem) -> bool:
        return (problem.of_edition and self.is_enterprise) or (problem.is_gap and self.is_partial)


@dataclass(frozen=True, slots=True)
class Judged:
    """What GitLab would say of a pipeline."""

    findings: tuple[Finding, ...]
    """Everything for which it would refuse it."""
    jobs: Mapping[str, Mapping[str, Any]]
    """The jobs that are not hidden, with all that they extend."""


def judge(text: PipelineText, max_needed_name: int = MAX_NAME, *, is_enterprise: bool = False) -> Judged:
    """Hold a pipeline against GitLab's rules. Nothing of it depends on a server or project.

    An Enterprise Edition knows a few more keywords. What jobs say of each other is looked at when each of them is
    valid by itself.
    """
    has_includes = bool(as_list(text.value.get("include")))
    try:
        document = resolved(text.value, has_includes=has_includes, has_references=text.has_references)
    except UnreadableError as error:
        return Judged((error.finding,), {})
    except NotHereError:
        return Judged((), {})
    jobs = {name: value for name, value in document.items() if _is_job(name, value)}
    visible = {name: job for name, job in jobs.items() if _table(job) is not None and not str(name).startswith(".")}
    tables = _Tables(is_enterprise, has_includes)
    findings = (*_pipeline(document, jobs), *_all_jobs(jobs, tables))
    if not findings:
        stages = references.stages_of(document.get("stages"))
        named = references.Jobs(visible, stages, max_needed_name, is_complete=not has_includes)
        findings = tuple(references.findings(named))
    return Judged(findings, visible)


def _is_job(name: Any, value: Any) -> bool:
    return name not in _RESERVED and (name not in PIPELINE or bool(_table(value)))


def _table(job: Any) -> Mapping[str, Shape] | None:
    """The keywords of a job, by what it does; nothing for what does nothing."""
    if not isinstance(job, Mapping):
        return None
    if "script" in job or "run" in job:
        return JOB
    return TRIGGER_JOB if "trigger" in job or "needs" in job else None


def _pipeline(document: Mapping[Any, Any], jobs: Mapping[Any, Any]) -> Iterator[Finding]:
    for keyword, shape in PIPELINE.items():
        value = document.get(keyword)
        if value is not None and keyword not in jobs:
            yield from _findings(keyword, "", shape(value))
    yield from _include(document.get("include"))
    default = document.get("default")
    if isinstance(default, Mapping) and "default" not in jobs:
        for keyword in ALSO_IN_DEFAULT:
            if document.get(keyword) is not None and default.get(keyword) is not None:
                yield Finding(keyword, "", "stands at the top and in 'default'; only one of them may")


def _include(written: Any) -> Iterator[Finding]:
    yield from _findings("include", "", INCLUDES(written) if isinstance(written, str | list) else ())
    for include in as_list(written):
        if include is None or isinstance(include, str):
            continue
        kinds = [
            kind for kind in _KINDS_OF_INCLUDES if isinstance(include, Mapping) and not is_blank(include.get(kind))
        ]
        if len(kinds) != 1:
            yield Finding("include", "", f"each must have one of {', '.join(_KINDS_OF_INCLUDES)}")
        elif kinds[0] in ("local", "remote") and not str(include[kinds[0]]).lower().endswith((".yml", ".yaml")):
            yield Finding("include", kinds[0], f"{shown(include[kinds[0]])} must end in .yml or .yaml")


def _all_jobs(jobs: Mapping[Any, Any], tables: _Tables) -> Iterator[Finding]:
    if not tables.is_partial and all(isinstance(name, str) and name.startswith(".") for name in jobs):
        yield Finding("", "", "no job at all; a pipeline must have one")
    for name, job in jobs.items():
        if not isinstance(name, str):
            yield Finding(str(name), "", f"the name {shown(name)} must be a text; put it in quotes")
        elif name.startswith("."):
            if is_blank(job):
                yield Finding(name, "", "must not be empty")
        else:
            yield from _job(name, job, tables)


def _job(name: str, job: Any, tables: _Tables) -> Iterator[Finding]:
    if not name.strip():
        yield Finding(name, "", "a job must have a name")
    if len(name) > MAX_NAME:
        yield Finding(name, "", f"the name has {len(name)} characters, GitLab allows {MAX_NAME}")
    table = _table(job)
    if tables.is_partial and isinstance(job, Mapping) and not job.keys() & {"script", "run", "trigger"}:
        yield from _part_of_job(name, job, tables)
        return
    if table is None:
        yield Finding(name, "", "has neither script, run nor trigger")
        return
    for keyword, value in job.items():
        if keyword not in table:
            if not (tables.is_enterprise and table is JOB and keyword in OF_EDITION):
                yield Finding(name, str(keyword), _unknown(keyword, table))
        elif value is not None:
            yield from _findings(name, keyword, tables.check(keyword, value, table))
    yield from _together(name, job, table)


def _part_of_job(name: str, job: Mapping[Any, Any], tables: _Tables) -> Iterator[Finding]:
    """A job whose script or trigger another file brings."""
    for keyword, value in job.items():
        if keyword not in JOB and keyword not in OF_EDITION:
            yield Finding(name, str(keyword), _unknown(keyword, JOB))
        elif value is not None and keyword in JOB and keyword != "needs":
            yield from _findings(name, keyword, tables.check(keyword, value, JOB))


def _unknown(keyword: Any, table: Mapping[str, Shape]) -> str:
    if table is not JOB:
        return "is no keyword of a trigger job"
    if keyword in OF_EDITION:
        return "is a keyword of GitLab's Enterprise Edition alone"
    return f"is no keyword of a job{close_to(keyword, table)}"


def _together(name: str, job: Mapping[str, Any], table: Mapping[str, Shape]) -> Iterator[Finding]:
    """What keywords of one job must fulfil together."""
    for pair in (("script", "trigger"), ("run", "trigger"), ("script", "run"), ("before_script", "run")):
        if pair[0] in job and pair[1] in job:
            yield Finding(name, pair[1], f"cannot stand beside '{pair[0]}'")
    if table is TRIGGER_JOB:
        if job.get("trigger") is None:
            yield Finding(name, "", "has neither script, run nor trigger")
    else:
        yield from _with_script(name, job)
    if job.get("rules") is not None:
        for keyword in ("only", "except", "start_in"):
            if job.get(keyword) is not None:
                yield Finding(name, keyword, "cannot stand beside 'rules'")


def _with_script(name: str, job: Mapping[str, Any]) -> Iterator[Finding]:
    if "run" in job:
        if "after_script" in job:
            yield Finding(name, "run", "cannot stand beside 'after_script'")
    elif is_blank(job.get("script")):
        yield Finding(name, "script", "must not be empty")
    if job.get("when") == "delayed":
        if job.get("start_in") is None:
            yield Finding(name, "start_in", "is missing: a delayed job must say when it starts")
        elif "rules" in job and not is_blank(job["start_in"]):
            yield Finding(name, "start_in", "cannot stand beside 'rules'")
    elif not is_blank(job.get("start_in")):
        yield Finding(name, "start_in", "needs 'when: delayed'")
    is_pages = not is_blank(job.get("pages")) or (name == "pages" and job.get("pages") is not False)
    if not is_blank(job.get("publish")) and not is_pages:
        yield Finding(name, "publish", "is only for jobs with 'pages'")
    pages = job.get("pages")
    if isinstance(pages, Mapping) and "publish" in pages and job.get("publish") is not None:
        yield Finding(name, "publish", "cannot stand beside 'pages:publish'")
    yield from _dependencies(name, job)


def _dependencies(name: str, job: Mapping[str, Any]) -> Iterator[Finding]:
    needs = [need for need in flattened(job.get("needs")) if need is not None]
    dependencies = job.get("dependencies")
    if is_blank(dependencies) or not needs or not isinstance(dependencies, list | tuple):
        return
    local = [
        need["job"] if isinstance(need, Mapping) else need
        for need in references.local_needs(needs)
        if is_text(need) or (isinstance(need, Mapping) and "job" in need)
    ]
    for dependency in dependencies:
        if dependency not in local:
            yield Finding(name, "dependencies", f"{shown(dependency)} must be one of the needs")


def _findings(job: str, keyword: str, problems: Iterable[Problem]) -> Iterator[Finding]:
    for problem in problems:
        path = ":".join([*([keyword] if keyword else []), *(str(key) for key in problem.path)])
        yield Finding(job, path, problem.message)
