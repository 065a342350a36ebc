"""Keywords with many keys of their own: images, services, caches, artifacts, retries, environments, releases.

Sources: see `keywords`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote_plus

from job_creator.engines.gitlab.verdict.conditions import variables
from job_creator.engines.gitlab.verdict.shapes import (
    BOOLEAN,
    COMMANDS,
    INTEGERS_OR_INTEGER,
    TEXT,
    WORDS,
    WORDS_OR_WORD,
    Problem,
    Shape,
    anything,
    at_most,
    both,
    by_type,
    duration,
    each,
    filled,
    is_word,
    mapping,
    one_of,
    plain,
    shown,
    whole_number,
)
from job_creator.engines.gitlab.verdict.values import is_blank, is_integer, is_text

_ARTIFACTS_WHEN: Final = ("on_success", "on_failure", "always")
_FAILURES: Final = frozenset(
    [
        *("always", "unknown_failure", "script_failure", "api_failure", "stuck_or_timeout_failure"),
        *("runner_system_failure", "missing_dependency_failure", "runner_unsupported", "stale_schedule"),
        *("job_execution_timeout", "archived_failure", "unmet_prerequisites", "scheduler_failure"),
        *("data_integrity_failure", "forward_deployment_failure", "user_blocked", "project_deleted"),
        *("ci_quota_exceeded", "pipeline_loop_detected", "no_matching_runner", "trace_size_exceeded"),
        *("builds_disabled", "environment_creation_failure", "deployment_rejected"),
        *("failed_outdated_deployment_job", "job_execution_server_timeout", "protected_environment_failure"),
        *("insufficient_bridge_permissions", "downstream_bridge_project_not_found", "invalid_bridge_trigger"),
        *("upstream_bridge_project_not_found", "insufficient_upstream_permissions"),
        *("bridge_pipeline_is_child_pipeline", "downstream_pipeline_creation_failed"),
        *("secrets_provider_not_found", "reached_max_descendant_pipelines_depth", "ip_restriction_failure"),
        *("reached_max_pipeline_hierarchy_size", "reached_downstream_pipeline_trigger_rate_limit"),
        *("duo_workflow_not_allowed", "job_router_failure", "job_token_expired"),
        # Named by newer servers only; whoever has such a server is not told that it would refuse them.
        *("stuck_pending_no_matching_runner", "stuck_pending_no_online_runner"),
    ]
)
"""Values of `retry:when`; all reasons that a job may fail for are allowed, though few of them make sense."""

_REPORTS: Final = (
    *("junit", "sast", "secret_detection", "dependency_scanning", "container_scanning", "dast"),
    *("performance", "browser_performance", "load_performance", "license_scanning", "metrics", "lsif", "dotenv"),
    *("terraform", "accessibility", "coverage_fuzzing", "api_fuzzing", "cluster_image_scanning", "requirements"),
    *("requirements_v2", "cyclonedx", "annotations", "repository_xray", "sarif"),
)

_EDGE: Final = r"[a-zA-Z0-9_${}. -]"
_ENVIRONMENT_NAME: Final = re.compile(rf"{_EDGE}(?:[a-zA-Z0-9_/${{}}. -]*{_EDGE})?")
_CACHE_POLICY: Final = re.compile(r"push|pull|\$")
_EXPOSE_AS: Final = re.compile(r"\w[-\w ]*")
_DATE: Final = re.compile(r"\d{4}-?\d{2}-?\d{2}(T\d{2}:?\d{2}(:?\d{2}([.,]\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?")


def _imageable(more: Mapping[str, Shape]) -> Shape:
    short = plain(lambda value: is_text(value) and 0 < len(value) <= 255, "a text")
    policies = ("always", "if-not-present", "never")
    keys: dict[str, Shape] = {
        "name": TEXT,
        "entrypoint": WORDS,
        "docker": mapping({"platform": short, "user": short}),
        "kubernetes": mapping({"user": plain(lambda value: is_text(value) or is_integer(value), "a text or a number")}),
        "pull_policy": by_type("a text or a list", text=one_of(policies), list=filled(each(one_of(policies)))),
        **more,
    }
    return by_type("a text or a mapping", text=filled(TEXT), mapping=mapping(keys, present=("name",)))


IMAGE: Final = _imageable({})
SERVICES: Final = by_type(
    "a list", list=each(_imageable({"command": COMMANDS, "alias": TEXT, "variables": variables(())}), flat=True)
)


def _cache_key(value: Any) -> Iterator[Problem]:
    if not is_word(value):
        yield Problem((), f"must be a text, not {shown(value)}")
        return
    path = unquote_plus(value)
    if "/" in path or path in (".", ".."):
        yield Problem((), f"{shown(value)} must have no '/' in it, and not be '.' or '..'")


def _cache_key_of(value: Mapping[Any, Any]) -> Iterator[Problem]:
    if ("files" in value) == ("files_commits" in value):
        yield Problem((), "must have one of 'files' and 'files_commits'")


_KEY_FILES: Final = both(WORDS, filled(at_most(2, "files")))
_CACHE: Final = mapping(
    {
        "key": by_type(
            "a text or a mapping",
            text=_cache_key,
            mapping=mapping(
                {"files": _KEY_FILES, "files_commits": _KEY_FILES, "prefix": _cache_key}, together=_cache_key_of
            ),
        ),
        "untracked": BOOLEAN,
        "unprotect": BOOLEAN,
        "paths": WORDS,
        "when": one_of(_ARTIFACTS_WHEN),
        "policy": plain(
            lambda value: is_blank(value) or (is_text(value) and bool(_CACHE_POLICY.search(value))),
            "one of pull-push, pull, push, or a variable",
        ),
        "fallback_keys": both(WORDS, at_most(5, "keys")),
    }
)
CACHES: Final = by_type("a mapping or a list", mapping=_CACHE, list=both(each(_CACHE, flat=True), at_most(4, "caches")))


def _exposed(value: Mapping[Any, Any]) -> Iterator[Problem]:
    if "access" in value and "public" in value:
        yield Problem((), "'access' and 'public' cannot stand together")
    name = value.get("expose_as")
    if name is None:
        return
    if not is_text(name) or len(name) > 100 or not _EXPOSE_AS.fullmatch(name):
        yield Problem(("expose_as",), "must have at most 100 letters, digits, '-', '_' and spaces")
    paths = value.get("paths")
    if is_blank(paths) or (isinstance(paths, list | tuple) and any("*" in str(path) for path in paths)):
        yield Problem(("paths",), "must be given without '*' where 'expose_as' is")


_COVERAGE_REPORT: Final = mapping(
    {"coverage_format": one_of(("cobertura", "jacoco")), "path": TEXT}, present=("coverage_format", "path")
)
ARTIFACTS: Final = mapping(
    {
        "name": TEXT,
        "untracked": BOOLEAN,
        "public": BOOLEAN,
        "paths": WORDS,
        "exclude": WORDS,
        "reports": mapping(
            {
                **dict.fromkeys(_REPORTS, WORDS_OR_WORD),
                "codequality": anything,
                "coverage_report": _COVERAGE_REPORT,
            }
        ),
        "when": one_of(_ARTIFACTS_WHEN),
        "expire_in": duration(also=("never",)),
        "expose_as": anything,
        "access": one_of(("none", "developer", "maintainer", "all")),
    },
    together=_exposed,
)

RETRY: Final = by_type(
    "an integer or a mapping",
    integer=whole_number(0, 2),
    mapping=mapping(
        {
            "max": whole_number(0, 2, or_digits=True),
            "when": by_type("a text or a list", text=one_of(_FAILURES), list=each(one_of(_FAILURES))),
            "exit_codes": INTEGERS_OR_INTEGER,
        }
    ),
)


def _environment_name(value: Any) -> Iterator[Problem]:
    if not is_text(value) or not _ENVIRONMENT_NAME.fullmatch(value) or is_blank(value):
        yield Problem((), f"{shown(value)} may have letters, digits, '-', '_', '/', '$', '{{', '}}', '.' and spaces")


def _cluster(value: Mapping[Any, Any]) -> Iterator[Problem]:
    board = value.get("dashboard")
    resources = value.get("managed_resources")
    managed = isinstance(resources, Mapping) and resources.get("enabled") is True
    if not is_blank(value.get("flux_resource_path")) and is_blank(value.get("namespace")):
        yield Problem(("namespace",), "is missing beside 'flux_resource_path'")
    if (not is_blank(value.get("flux_resource_path")) or not is_blank(board) or managed) and is_blank(
        value.get("agent")
    ):
        yield Problem(("agent",), "is missing")
    for key in ("namespace", "flux_resource_path"):
        if not is_blank(value.get(key)) and isinstance(board, Mapping) and not is_blank(board.get(key)):
            yield Problem((key,), f"cannot stand beside 'dashboard:{key}'")


_KUBERNETES: Final = filled(
    mapping(
        {
            "namespace": TEXT,
            "agent": TEXT,
            "flux_resource_path": TEXT,
            "managed_resources": mapping({"enabled": BOOLEAN}),
            "dashboard": mapping({"namespace": TEXT, "flux_resource_path": TEXT}, required=("namespace",)),
        },
        together=_cluster,
    )
)
ENVIRONMENT: Final = by_type(
    "a text or a mapping",
    text=_environment_name,
    mapping=mapping(
        {
            "name": _environment_name,
            "url": plain(lambda value: is_text(value) and len(value) <= 255, "a text of at most 255 characters"),
            "action": one_of(("start", "stop", "prepare", "verify", "access")),
            "deployment_tier": TEXT,
            "on_stop": TEXT,
            "auto_stop_in": TEXT,
            "kubernetes": _KUBERNETES,
        },
        present=("name",),
    ),
)

RELEASE: Final = mapping(
    {
        "tag_name": TEXT,
        "tag_message": TEXT,
        "name": anything,
        "description": TEXT,
        "ref": TEXT,
        "released_at": plain(lambda value: is_text(value) and bool(_DATE.fullmatch(value)), "a date of ISO 8601"),
        "milestones": WORDS_OR_WORD,
        "assets": mapping(
            {
                "links": filled(
                    plain(
                        lambda value: (
                            isinstance(value, list | tuple) and all(isinstance(link, Mapping) for link in value)
                        ),
                        "a list of mappings",
                    )
                )
            },
            present=("links",),
        ),
    },
    present=("tag_name", "description"),
)
