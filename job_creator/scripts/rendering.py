"""Text from templates: the shell of the generated jobs, in `templates/`, and Dockerfiles. Rendered nowhere else."""

from __future__ import annotations

import json
import shlex
from functools import lru_cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template


def render(template: str, **values: object) -> str:
    """A script as text. Values go through the filter `quote` in the templates wherever they become shell words."""
    return _environment().get_template(template).render(**values)


def render_text(template: str, **values: object) -> str:
    """Render a template that is given as text, not by its name."""
    return _compiled(template).render(**values)


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
    environment.filters["json"] = json.dumps
    return environment
