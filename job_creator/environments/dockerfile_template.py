"""The template that the Dockerfile of each container is made from, which a repository may have of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from jinja2 import TemplateSyntaxError

from foundation.errors import Fault
from foundation.validation import did_you_mean
from job_creator.scripts.rendering import used_variables

VARIABLES: Final = frozenset(
    [
        *("asked", "builder", "check_signatures", "epilogue", "files", "folder", "host_libraries"),
        *("image_files", "lock"),
        *("path_directories", "paths", "recipes", "runtime", "secrets", "signed", "source_builds"),
    ]
)
"""All that is handed to it (`containers.identity`)."""


@dataclass(frozen=True)
class DockerfileTemplate:
    """The repository's own template."""

    path: str
    text: str

    @cached_property
    def uses(self) -> frozenset[str]:
        """The variables that it uses; all of them where it cannot be read, which is a fault by itself."""
        try:
            return frozenset(used_variables(self.text))
        except TemplateSyntaxError:
            return VARIABLES

    def faults(self) -> Iterator[Fault]:
        """What would only fail when the first container is made."""
        try:
            used = used_variables(self.text)
        except TemplateSyntaxError as error:
            yield Fault(self.path, error.lineno, 1, f"not readable as a Jinja template: {error.message}")
            return
        for name, line in used.items():
            if name not in VARIABLES:
                yield Fault(self.path, line, 1, f"there is no variable {name!r}", did_you_mean(name, VARIABLES))
