"""When and how often jobs run: expressions, rules, needs, variables and copies.

Sources: see `keywords`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from foundation.gitlab import WEEK
from job_creator.engines.gitlab.verdict.expressions import expression_error, looks_like_regexp, regexp_error
from job_creator.engines.gitlab.verdict.shapes import (
    BOOLEAN,
    SCALAR,
    TEXT,
    WORDS,
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
    is_scalar,
    is_word,
    mapping,
    nested,
    one_of,
    plain,
    shown,
    whole_number,
)
from job_creator.engines.gitlab.verdict.values import as_list, flattened, is_blank, is_integer, is_text

MAX_COPIES: Final = 200
MAX_CROSS_PIPELINE_NEEDS: Final = 5


def _expression(value: Any) -> Iterator[Problem]:
    error = expression_error(value) if is_text(value) else "must be a text"
    if error:
        yield Problem((), f"{shown(value)} is no expression: {error}")


def regexp(value: Any) -> Iterator[Problem]:
    """A regular expression between slashes."""
    error = regexp_error(value) if is_text(value) else "must be a regular expression"
    if error:
        yield Problem((), f"{shown(value)} {error}")


def _ref(value: Any) -> Iterator[Problem]:
    if not is_text(value):
        yield Problem((), f"must be a text, not {shown(value)}")
    elif looks_like_regexp(value):
        yield from regexp(value)


def _list(shape: Shape, *, most: int = 0, of_what: str = "") -> Shape:
    listed = by_type("a list", list=each(shape))
    return both(listed, at_most(most, of_what)) if most else listed


def _is_name(value: object) -> bool:
    return is_word(value) or is_integer(value)


def _variable(data: Collection[str]) -> Shape:
    """A variable whose long form has these keys; without any there is no long form."""
    keys: dict[str, Shape] = {
        "value": SCALAR,
        "description": plain(lambda value: is_word(value) or is_integer(value), "a text"),
        "expand": BOOLEAN,
        "options": WORDS,
    }

    def options(value: Mapping[Any, Any]) -> Iterator[Problem]:
        allowed = value.get("options")
        if isinstance(allowed, list | tuple) and allowed and value.get("value") not in allowed:
            yield Problem(("value",), "must be one of 'options'")

    long = mapping({key: keys[key] for key in data}, together=options)

    def check(value: Any) -> Iterator[Problem]:
        if isinstance(value, Mapping) and data:
            yield from long(value)
        elif not is_scalar(value):
            yield Problem((), f"must be a text{' or a mapping with its value' if data else ''}, not {shown(value)}")

    return check


def variables(data: Collection[str]) -> Shape:
    """Variables; null is a variable in its long form."""
    return entries(_variable(data), key=_is_name, null={})


_COPIES: Final = entries(
    plain(lambda value: all(_is_name(item) for item in as_list(value)), "texts or integers"), key=_is_name
)


def _combinations(value: Any) -> Iterator[Problem]:
    for index, combination in enumerate(value):
        yield from (problem.below(index) for problem in _COPIES(combination))
        if isinstance(combination, Mapping):
            if not combination:
                yield Problem((index,), "must name a variable")
            empty = [name for name, inner in combination.items() if inner is None]
            yield from (Problem((index, name), "must not be null") for name in empty)
    number = copies_of({"matrix": value})
    if number > MAX_COPIES:
        yield Problem((), f"expands to {number} jobs, GitLab allows {MAX_COPIES}")


def _has_matrix(value: Mapping[Any, Any]) -> Iterator[Problem]:
    if "matrix" not in value:
        yield Problem((), "'matrix' is missing")


def parallel(*, or_number: bool) -> Shape:
    """How many copies there are of a job: a number, where that is allowed, or the values of variables."""
    matrix = mapping({"matrix": by_type("a list of mappings", list=_combinations)}, together=_has_matrix)
    if not or_number:
        return by_type("a mapping with 'matrix'", mapping=matrix)
    number = whole_number(1, MAX_COPIES)
    return by_type("an integer or a mapping with 'matrix'", integer=number, number=number, mapping=matrix)


def copies_of(parallel: object) -> int:
    """How many jobs `parallel` makes of one."""
    if is_integer(parallel):
        return int(parallel)  # type: ignore[call-overload,no-any-return]
    matrix = parallel.get("matrix") if isinstance(parallel, Mapping) else None
    total = 0
    for entry in matrix if isinstance(matrix, list | tuple) else ():
        product = 1
        for values in entry.values() if isinstance(entry, Mapping) else ():
            product *= len(as_list(values))
        total += product
    return total


NEED_OF_JOB: Final = mapping(
    {"job": TEXT, "artifacts": BOOLEAN, "optional": BOOLEAN, "parallel": parallel(or_number=False)}, present=("job",)
)
_NEED_OF_PIPELINE: Final = mapping({"pipeline": TEXT, "job": TEXT, "artifacts": BOOLEAN}, present=("pipeline", "job"))


def is_need_of_pipeline(need: object) -> bool:
    """Whether a need fetches artifacts from another pipeline."""
    return isinstance(need, Mapping) and "pipeline" in need and "project" not in need


def needs(*, of_pipelines: bool) -> Shape:
    """Needs; some jobs may need jobs of other pipelines, too."""

    def need(value: Any) -> Iterator[Problem]:
        if is_text(value):
            if is_blank(value):
                yield Problem((), "must not be empty")
        elif not isinstance(value, Mapping) or "job" not in value:
            yield Problem((), f"must be the name of a job, or a mapping with 'job', not {shown(value)}")
        elif is_need_of_pipeline(value):
            yield from _NEED_OF_PIPELINE(value)
            if not of_pipelines:
                yield Problem(("pipeline",), "jobs of other pipelines cannot be needed here")
        elif "project" in value or "ref" in value:
            yield Problem(
                (), "jobs of other projects can only be needed in GitLab's Enterprise Edition", of_edition=True
            )
        else:
            yield from NEED_OF_JOB(value)

    def several(value: Any) -> Iterator[Problem]:
        others = sum(is_need_of_pipeline(item) for item in flattened(value))
        if others > MAX_CROSS_PIPELINE_NEEDS:
            yield Problem((), f"{others} are jobs of other pipelines, GitLab allows {MAX_CROSS_PIPELINE_NEEDS}")

    items = both(each(need, flat=True), several)
    return by_type("a list", list=items, mapping=filled(items))


_CHANGED_FILES: Final = both(WORDS, at_most(50, "patterns"))


def _exists(value: Mapping[Any, Any]) -> Iterator[Problem]:
    if "paths" not in value:
        yield Problem((), "'paths' is missing")
    if value.get("ref") is not None and "project" not in value:
        yield Problem((), "'ref' needs 'project'")


_EXISTS: Final = mapping({"paths": _CHANGED_FILES, "project": TEXT, "ref": TEXT}, together=_exists)


def rule(keys: Collection[str], when: Collection[str]) -> Shape:
    """A rule with some of the keys that rules have, and some values of `when`."""
    delay = duration(most=WEEK, limit="a week")
    known: dict[str, Shape] = {
        "if": _expression,
        "when": plain(lambda value: str(value) in when, f"one of {', '.join(when)}"),
        "start_in": delay,
        "allow_failure": BOOLEAN,
        "interruptible": BOOLEAN,
        "changes": by_type(
            "a list or a mapping",
            list=_CHANGED_FILES,
            mapping=mapping({"paths": _CHANGED_FILES, "compare_to": TEXT}, required=("paths",)),
        ),
        "exists": by_type(
            "a text, a list or a mapping",
            text=anything,
            list=_CHANGED_FILES,
            mapping=lambda value: _EXISTS(value) if value else iter(()),
            boolean=plain(lambda value: not value, "a text, a list or a mapping"),
        ),
        "variables": variables(()),
        "needs": needs(of_pipelines=False),
        "auto_cancel": AUTO_CANCEL,
    }

    def delayed(value: Mapping[Any, Any]) -> Iterator[Problem]:
        if value.get("when") == "delayed":
            if is_blank(value.get("start_in")):
                yield Problem(("start_in",), "is missing: a delayed job must say when it starts")
        elif "start_in" in value:
            yield Problem(("start_in",), "needs 'when: delayed'")

    return filled(mapping({key: known[key] for key in keys}, together=delayed))


AUTO_CANCEL: Final = mapping(
    {
        "on_new_commit": one_of(("conservative", "interruptible", "none")),
        "on_job_failure": one_of(("all", "none")),
    }
)

JOB_RULES: Final = both(
    nested(lambda value: isinstance(value, Mapping), "rules: mappings, or lists of mappings", or_single=False),
    filled(
        by_type(
            "a list",
            list=each(
                rule(
                    (
                        *("if", "changes", "exists", "when", "start_in", "allow_failure", "variables", "needs"),
                        "interruptible",
                    ),
                    ("on_success", "on_failure", "always", "never", "manual", "delayed"),
                ),
                flat=True,
            ),
        )
    ),
)
WORKFLOW_RULES: Final = filled(
    by_type(
        "a list",
        list=each(
            rule(
                (
                    *("if", "changes", "exists", "when", "start_in", "allow_failure", "variables", "needs"),
                    "auto_cancel",
                ),
                ("always", "never"),
            ),
            flat=True,
        ),
    )
)


POLICY: Final = by_type(
    "a list or a mapping",
    list=_list(_ref),
    mapping=filled(
        mapping(
            {
                "refs": _list(_ref),
                "kubernetes": plain(lambda value: str(value) == "active", "'active'"),
                "variables": _list(_expression),
                "changes": WORDS,
            }
        )
    ),
)
