"""Paths as environments name them, and what they mean in a checkout."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from foundation.stores.schemes import split_url

CHECKOUT: Final = "$CI_PROJECT_DIR"
"""The folder of the checkout, in every job (GitLab docs, "Predefined CI/CD variables")."""
_CHECKOUT: Final = re.compile(r"\$(?:CI_PROJECT_DIR|\{CI_PROJECT_DIR\})(?=/|$)")
_ENVIRONMENT: Final = re.compile(r"\$(?:env|\{env\})(?=/|$)", re.IGNORECASE)
"""Spack's word for the folder of an environment (`replacements` in lib/spack/spack/util/path.py)."""
_GIT_OVER_SSH: Final = re.compile(r"[\w.-]+@[\w.-]+:")


class PathKind(Enum):
    """Where a path leads."""

    REPOSITORY = auto()
    """To something in the repository, which every checkout has."""
    OUTSIDE = auto()
    """Out of the repository."""
    ABSOLUTE = auto()
    """To a fixed place, which the builder image may have."""
    MACHINE = auto()
    """To a place that depends on who runs Spack, and on which machine."""
    URL = auto()


@dataclass(frozen=True, slots=True)
class WrittenPath:
    """A path that somebody wrote."""

    kind: PathKind
    path: str
    """Seen from the top of the repository where it leads there, otherwise as it was written."""


def read_path(text: str, folder: str) -> WrittenPath:
    """What a path means in a file whose folder, seen from the top of the repository, is `folder`."""
    scheme, rest = split_url(text)
    if scheme not in ("", "file") or _GIT_OVER_SSH.match(text):
        return WrittenPath(PathKind.URL, text)
    text = rest if scheme else text
    if found := _CHECKOUT.match(text):
        relative = text[found.end() :].lstrip("/")
    elif found := _ENVIRONMENT.match(text):
        relative = posixpath.join(folder, text[found.end() :].lstrip("/"))
    elif text.startswith("/"):
        return WrittenPath(PathKind.MACHINE if "$" in text else PathKind.ABSOLUTE, text)
    else:
        relative = text if text.startswith(("~", "$")) else posixpath.join(folder, text)
    if relative.startswith("~") or "$" in relative:
        return WrittenPath(PathKind.MACHINE, text)
    path = posixpath.normpath(relative)
    return WrittenPath(PathKind.OUTSIDE if path.split("/")[0] == ".." else PathKind.REPOSITORY, path)
