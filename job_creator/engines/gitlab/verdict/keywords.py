"""What stands below the keywords of a job, as a table: which keywords there are, and the shape of each.

Source: GitLab docs, "CI/CD YAML syntax reference", and what GitLab FOSS 18 does (lib/gitlab/ci/config/entry).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from foundation.gitlab import MAX_JOB_TIMEOUT, WEEK
from job_creator.engines.gitlab.verdict.conditions import (
    AUTO_CANCEL,
    JOB_RULES,
    POLICY,
    WORKFLOW_RULES,
    needs,
    parallel,
    regexp,
    rule,
    variables,
)
from job_creator.engines.gitlab.verdict.parts import ARTIFACTS, CACHES, ENVIRONMENT, IMAGE, RELEASE, RETRY, SERVICES
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
    entries,
    filled,
    is_word,
    mapping,
    nested,
    one_of,
    plain,
)
from job_creator.engines.gitlab.verdict.values import is_blank, is_integer, is_text

MAX_TRIGGER_INCLUDES: Final = 3
MAX_TAGS: Final = 49

_VARIABLE: Final = re.compile(r"\$([a-zA-Z_]\w*|\{[a-zA-Z_]\w*\})|%[a-zA-Z_]\w*%")

_CHECKSUM: Final = re.compile(r"sha256-(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/=]{4})?")

_INHERITED: Final = (
    *("before_script", "after_script", "hooks", "cache", "image", "services", "interruptible", "timeout", "retry"),
    *("tags", "artifacts", "id_tokens"),
)


def _tags(value: Any) -> Iterator[Problem]:
    yield from WORDS(value)
    if isinstance(value, list | tuple):
        yield from at_most(MAX_TAGS, "tags")(sorted({str(tag).strip() for tag in value} - {""}))


_INPUT: Final = mapping(
    {
        "default": anything,
        "description": plain(lambda value: is_word(value) or is_integer(value), "a text"),
        "options": by_type("a list", list=at_most(50, "options")),
        "regex": TEXT,
        "type": one_of(("string", "number", "boolean", "array")),
    },
    required=("default",),
)
TIMEOUT: Final = duration(most=MAX_JOB_TIMEOUT, limit="a month")
HOOKS: Final = mapping({"pre_get_sources_script": COMMANDS})
ID_TOKENS: Final = entries(mapping({"aud": WORDS_OR_WORD}, required=("aud",)), null={})

DEFAULT: Final[Mapping[str, Shape]] = {
    "before_script": COMMANDS,
    "after_script": COMMANDS,
    "hooks": HOOKS,
    "cache": CACHES,
    "image": IMAGE,
    "services": SERVICES,
    "interruptible": BOOLEAN,
    "timeout": TIMEOUT,
    "retry": RETRY,
    "tags": _tags,
    "artifacts": ARTIFACTS,
    "id_tokens": ID_TOKENS,
}
"""Keywords of jobs that `default:` may set."""

ANY_JOB: Final[Mapping[str, Shape]] = {
    "extends": WORDS_OR_WORD,
    "stage": TEXT,
    "only": POLICY,
    "except": POLICY,
    "rules": JOB_RULES,
    "variables": variables(("value", "expand")),
    "inherit": mapping(
        {
            "default": by_type("true, false or a list", boolean=anything, list=each(one_of(_INHERITED))),
            "variables": by_type("true, false or a list", boolean=anything, list=WORDS),
        }
    ),
    "resource_group": TEXT,
    "environment": ENVIRONMENT,
    "interruptible": BOOLEAN,
}
"""Keywords of jobs with a script and of those that trigger a pipeline."""

JOB: Final[Mapping[str, Shape]] = {
    **ANY_JOB,
    **DEFAULT,
    "script": COMMANDS,
    "run": plain(lambda value: isinstance(value, list | tuple), "a list of steps"),
    "when": one_of(("on_success", "on_failure", "always", "manual", "delayed")),
    "start_in": duration(most=WEEK, limit="a week"),
    "needs": needs(of_pipelines=True),
    "dependencies": WORDS,
    "allow_failure": by_type(
        "true, false or a mapping", boolean=anything, mapping=mapping({"exit_codes": INTEGERS_OR_INTEGER})
    ),
    "parallel": parallel(or_number=True),
    "coverage": regexp,
    "release": RELEASE,
    "pages": by_type(
        "true, false or a mapping",
        boolean=anything,
        mapping=mapping(
            {
                "path_prefix": TEXT,
                "publish": TEXT,
                "expire_in": lambda value: (
                    iter(()) if is_text(value) and _VARIABLE.search(value) else duration(also=("never",))(value)
                ),
            }
        ),
    ),
    "publish": TEXT,
    "manual_confirmation": TEXT,
    "inputs": both(entries(_INPUT, null={}), at_most(50, "inputs")),
}
"""Keywords of jobs with a script."""

_INCLUDED: Final = (
    *("local", "file", "remote", "project", "ref", "integrity", "cache"),
    *("template", "artifact", "inputs", "job", "component"),
)


def _included(value: Mapping[Any, Any]) -> Iterator[Problem]:
    if not is_blank(value.get("artifact")) and is_blank(value.get("job")):
        yield Problem((), "'artifact' needs 'job', whose artifacts it is taken from")
    if not is_blank(value.get("project")) and is_blank(value.get("file")):
        yield Problem((), "'project' needs 'file'")
    integrity = value.get("integrity")
    if is_blank(integrity):
        return
    if is_blank(value.get("remote")):
        yield Problem(("integrity",), "is only for 'remote'")
    if not is_text(integrity) or not _CHECKSUM.fullmatch(str(integrity)):
        yield Problem(("integrity",), "must be 'sha256-' and a checksum in base64")


_INCLUDE_RULES: Final = filled(
    by_type(
        "a list of mappings",
        list=each(rule(("if", "exists", "when", "changes"), ("always", "never"))),
    )
)
INCLUDE: Final = by_type(
    "a text or a mapping",
    text=anything,
    mapping=mapping({**dict.fromkeys(_INCLUDED, anything), "rules": _INCLUDE_RULES}, together=_included),
)
INCLUDES: Final = by_type("a text or a list", text=anything, list=each(INCLUDE, flat=True))

_FORWARD: Final = mapping({"yaml_variables": BOOLEAN, "pipeline_variables": BOOLEAN}, strict=False)
_STRATEGY: Final = one_of(("depend", "mirror"))
_CHILD: Final = mapping(
    {
        "strategy": _STRATEGY,
        "include": both(INCLUDES, at_most(MAX_TRIGGER_INCLUDES, "files")),
        "forward": _FORWARD,
    }
)
_OTHER_PROJECT: Final = mapping(
    {
        "project": TEXT,
        "branch": TEXT,
        "strategy": _STRATEGY,
        "forward": _FORWARD,
        "inputs": by_type("a mapping", mapping=anything),
    },
    present=("project",),
)
OF_EDITION: Final = frozenset(("secrets", "dast_configuration", "identity"))
"""Keywords of jobs with a script that GitLab's Enterprise Edition alone knows; what they hold is not looked at."""

TRIGGER_JOB: Final[Mapping[str, Shape]] = {
    **ANY_JOB,
    "trigger": by_type(
        "a text or a mapping",
        text=filled(TEXT),
        mapping=lambda value: (_CHILD if "include" in value else _OTHER_PROJECT)(value),
    ),
    "when": one_of(("on_success", "on_failure", "always", "manual")),
    "needs": needs(of_pipelines=False),
    "allow_failure": BOOLEAN,
    "parallel": parallel(or_number=False),
}
"""Keywords of jobs that trigger a pipeline."""

PIPELINE: Final[Mapping[str, Shape]] = {
    "default": mapping(DEFAULT),
    "include": anything,
    "before_script": COMMANDS,
    "after_script": COMMANDS,
    "image": IMAGE,
    "services": SERVICES,
    "cache": CACHES,
    "variables": variables(("value", "description", "expand", "options")),
    "stages": nested(is_word, "a list of stages", or_single=False),
    "workflow": mapping(
        {
            "rules": WORKFLOW_RULES,
            "name": plain(lambda value: len(str(value)) <= 255, "a text of at most 255 characters"),
            "auto_cancel": AUTO_CANCEL,
        }
    ),
}
"""Keywords of a whole pipeline."""
ALSO_IN_DEFAULT: Final = ("before_script", "after_script", "image", "services", "cache")
"""What may stand at the top or in `default`, never in both."""
