"""The GitLab server and project: token, settings, runners, variables, as far as the token may ask."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

from job_creator.diagnosis.diagnoses import Diagnosis, Examination, Patient
from job_creator.diagnosis.gitlab_api import GitLabQuestions, MayNotAskError
from job_creator.diagnosis.project_variables import judged, variable_uses
from job_creator.engines.gitlab import names
from job_creator.site.gitlab import Limits
from job_creator.site.site import Site

_AREA: Final = "gitlab"
VARIABLES_SETTING: Final = "Settings > CI/CD > Variables > Minimum role to use pipeline variables"
"""Where a project says who may start pipelines with variables."""
_RUNNERS: Final = "runners"
_SOON: Final = timedelta(days=30)
_READS_API: Final = ("api", "read_api")
_NOT_GIVEN: Final = "see the address of the API, the project, and the token"
_YAML_BYTES_BEFORE: Final = 1 << 20
"""`max_yaml_size_bytes` of a new server before GitLab 17.3."""
_LARGER_YAML: Final = (17, 3)
_LONGER_NAMES: Final = (18, 0)
_SHORT_NAME: Final = 128
_JOB_TOKENS_LIST_TRIGGERS: Final = (19, 2)


@dataclass(frozen=True, slots=True)
class RunnerNeed:
    """Tags that one runner has to have all of, and a kind of job that asks for them."""

    tags: tuple[str, ...]
    asked_by: str


def runner_needs(site: Site) -> tuple[RunnerNeed, ...]:
    """Every combination of tags once."""
    found: dict[tuple[str, ...], str] = {}
    for name, one in site.architectures.items():
        found.setdefault(one.runner_tags, name)
        for kind, settings in one.jobs.items():
            if settings.runner_tags is not None:
                found.setdefault(settings.runner_tags, f"{name}: {kind}")
        for pattern, settings in one.packages.items():
            if settings.runner_tags is not None:
                found.setdefault(settings.runner_tags, f"{name}: {pattern}")
    for name, cluster in site.publish.clusters.items():
        found.setdefault(cluster.runner_tags, f"cluster {name}")
    return tuple(RunnerNeed(tags, asked_by) for tags, asked_by in found.items())


def project_examinations(site: Site, ask: GitLabQuestions) -> Iterator[Examination]:
    """All questions to a server."""
    token = site.gitlab.api_token_variable
    parts: tuple[tuple[str, str, Callable[[Patient], Iterable[Diagnosis]]], ...] = (
        (_AREA, "token", partial(_token, ask)),
        (_AREA, "server", partial(_server, ask, site)),
        (_AREA, "project", partial(_project, ask, site)),
        ("variables", "all", partial(_variables, ask, site)),
        *((_RUNNERS, ", ".join(need.tags), partial(_runners, ask, need)) for need in runner_needs(site)),
    )
    for area, subject, question in parts:
        patient = Patient(area, subject)
        yield Examination(patient, partial(_if_allowed, patient, question, token), _NOT_GIVEN)


def _if_allowed(
    patient: Patient, question: Callable[[Patient], Iterable[Diagnosis]], token: str
) -> Iterator[Diagnosis]:
    try:
        yield from question(patient)
    except MayNotAskError as error:
        advice = f"a token with the role Maintainer and the scope read_api may, here in {token}, not in the project"
        yield patient.not_checked(f"the token may not ask: {error}", advice)


def _token(ask: GitLabQuestions, patient: Patient) -> Iterator[Diagnosis]:
    found = ask.token()
    scopes = [str(scope) for scope in found.get("scopes") or ()]
    said = f"scopes: {', '.join(scopes) or 'none'}"
    if not set(scopes) & {*_READS_API}:
        yield patient.fault(f"{said}; it may not read the API", "make one with the scope read_api")
    else:
        yield patient.ok(said)
    if expiry := found.get("expires_at"):
        left = datetime.fromisoformat(str(expiry)).replace(tzinfo=UTC) - datetime.now(UTC)
        if left < _SOON:
            yield patient.warning(f"expires on {expiry}", "make another one, and set the variable anew before that")


def _server(ask: GitLabQuestions, site: Site, patient: Patient) -> Iterator[Diagnosis]:
    version = ask.version()
    match = re.match(r"(\d+)\.(\d+)", version)
    if not match:
        yield patient.not_checked(f"calls its version {version!r}")
        return
    number = (int(match[1]), int(match[2]))
    yield patient.ok(f"GitLab {version}")
    yield from _limits(patient, site.gitlab.limits, number, version)
    if number < _JOB_TOKENS_LIST_TRIGGERS:
        said = f"before GitLab 19.2 job tokens list no child pipelines, so 'ga' needs {site.gitlab.api_token_variable}"
        yield patient.warning(said, "make that variable, with a project access token: role Reporter, scope read_api")
    yield patient.not_checked(
        "limits that an administrator set (jobs in a pipeline, size of YAML): the API tells them alone"
    )


def _limits(patient: Patient, limits: Limits, number: tuple[int, int], version: str) -> Iterator[Diagnosis]:
    """What the site file says of the server, against the defaults of its release."""
    if number < _LARGER_YAML and limits.max_yaml_bytes > _YAML_BYTES_BEFORE:
        said = f"limits: max_yaml_bytes is {limits.max_yaml_bytes:,}; GitLab {version} takes {_YAML_BYTES_BEFORE:,}"
        yield patient.warning(said, "set it in the site file, unless the administrator has raised the server's")
    if number < _LONGER_NAMES and limits.max_needed_name > _SHORT_NAME:
        said = f"limits: max_needed_name is {limits.max_needed_name}; GitLab {version} takes {_SHORT_NAME}"
        yield patient.fault(said, "take it out of the site file")


def _project(ask: GitLabQuestions, site: Site, patient: Patient) -> Iterator[Diagnosis]:
    project = ask.project()
    yield patient.ok(str(project.get("path_with_namespace", "")))
    yield from _settings(patient, project, site)
    branch = str(project.get("default_branch") or "")
    if not branch:
        yield patient.warning("has no default branch yet", "push one")
    elif ask.is_protected(branch):
        yield patient.ok(f"its default branch {branch} is protected")
    else:
        said = f"its default branch {branch} is not protected: it gets no protected variable, and everyone may push"
        yield patient.fault(said, "protect it at Settings > Repository > Protected branches")


def _settings(patient: Patient, project: Mapping[str, Any], site: Site) -> Iterator[Diagnosis]:
    """Settings that stop pipelines; what a token may not see is not in the answer."""
    if project.get("builds_access_level") == "disabled" or project.get("jobs_enabled") is False:
        yield patient.fault("CI/CD is switched off", "switch it on at Settings > General > Visibility")
    if project.get("container_registry_access_level") == "disabled" and not site.registry.image:
        yield patient.fault(
            "its container registry is switched off, and the site file names no other",
            "switch it on at Settings > General > Visibility, or name one: 'registry: image:'",
        )
    path = project.get("ci_config_path") or names.PARENT_PIPELINE
    if path != names.PARENT_PIPELINE:
        yield patient.warning(
            f"its pipelines come from {path}, not from {names.PARENT_PIPELINE}",
            "change it at Settings > CI/CD > General pipelines, unless that is meant",
        )
    role = project.get("ci_pipeline_variables_minimum_override_role")
    if role is None:
        yield patient.not_checked(
            "who may start pipelines with variables (SPACKTAINERS_ONLY, SPACKTAINERS_FORCE): this token is not told"
        )
    elif role == "no_one_allowed":
        yield patient.warning(
            "nobody may start a pipeline with variables, so SPACKTAINERS_ONLY and SPACKTAINERS_FORCE are refused",
            f"choose a role at {VARIABLES_SETTING}, if you want to use them",
        )


def _variables(ask: GitLabQuestions, site: Site, _: Patient) -> Iterator[Diagnosis]:
    yield from judged(variable_uses(site), ask.variables())


def _runners(ask: GitLabQuestions, need: RunnerNeed, patient: Patient) -> Iterator[Diagnosis]:
    found = ask.runners(need.tags)
    online = [one for one in found if one.get("online") is not False and not one.get("paused")]
    if online:
        yield patient.ok(f"{len(online)} online ({need.asked_by})")
    elif found:
        yield patient.fault(
            f"all {len(found)} are offline or paused; jobs wait ({need.asked_by})", "start one, or un-pause it"
        )
    else:
        yield patient.fault(
            f"no runner of the project has all of these tags; jobs wait for ever ({need.asked_by})",
            "register one, or correct 'runner_tags:'",
        )
