"""Text from templates: the shell of the generated jobs, in `templates/`, and Dockerfiles. Rendered nowhere else."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from functools import lru_cache, partial

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from jinja2.meta import find_undeclared_variables
from jinja2.nodes import Name


def render(template: str, **values: object) -> str:
    """A script as text. Values go through the filter `quote` in the templates wherever they become shell words."""
    return _environment().get_template(template).render(**values)


def render_text(template: str, **values: object) -> str:
    """Render a template that is given as text, not by its name."""
    return _compiled(template).render(**values)


@lru_cache(maxsize=8)
def used_variables(template: str) -> Mapping[str, int]:
    """The values that a template takes from outside, each with the line where it stands first.

    Raises `jinja2.TemplateSyntaxError`, which has the line of what cannot be read.
    """
    tree = _environment().parse(template)
    names = list(tree.find_all(Name))
    # What is set in one branch alone counts as undeclared in others.
    outside = find_undeclared_variables(tree) - {name.name for name in names if name.ctx == "store"}
    found: dict[str, int] = {}
    for name in names:
        if name.name in outside:
            found[name.name] = min(name.lineno, found.get(name.name, name.lineno))
    return found


@lru_cache(maxsize=8)
def _compiled(template: str) -> Template:
    return _environment().from_string(template)


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("job_creator.scripts", "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - shell, not HTML; see the filter
    )
    environment.filters["quote"] = shlex.quote
    environment.filters["json"] = partial(json.dumps, ensure_ascii=False)
    return environment
