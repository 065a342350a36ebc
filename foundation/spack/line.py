"""Release lines of Spack, and what differs between them as far as environments and pipelines are concerned."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_SECTIONS_SINCE: Final = {"include_concrete": (0, 22), "toolchains": (1, 0), "env_vars": (1, 0)}
_REPOS_AS_MAPPING_SINCE: Final = (1, 0)


class SpackLine(NamedTuple):
    """A release line such as 0.23 or 1.1; lines compare in the order of their release."""

    major: int
    minor: int

    @classmethod
    def parse(cls, text: str) -> SpackLine:
        """Read `"1.1"` or `"1.1.0"`. Raises `ValueError` for anything else and for lines that are not supported."""
        match = re.fullmatch(r"(\d+)\.(\d+)(\.\d+)*", text)
        line = cls(int(match[1]), int(match[2])) if match else None
        if line not in SUPPORTED:
            raise ValueError(f"Spack {text!r} is not supported; supported are {', '.join(map(str, SUPPORTED))}")
        return line

    def __str__(self) -> str:
        """`1.1`."""
        return f"{self.major}.{self.minor}"

    def why_unknown(self, section: str, value: object) -> str:
        """Why this line cannot take a section of an environment; empty if it can.

        Source: lib/spack/spack/schema/env.py and the schemas that it merges, v0.21.3 to v1.1.0.
        """
        since = _SECTIONS_SINCE.get(section)
        if section == "repos" and isinstance(value, dict):
            since, section = _REPOS_AS_MAPPING_SINCE, "repos' as a mapping"
        else:
            section = f"{section}'"
        if since is None or self >= since:
            return ""
        return f"'{section} needs Spack {SpackLine(*since)} or newer; this site builds with {self}"

    @property
    def recipes_apart(self) -> bool:
        """Packages live in a repository of their own (Spack 1.0 release notes)."""
        return self >= (1, 0)

    @property
    def compilers_are_dependencies(self) -> bool:
        """What follows `%gcc` binds to the compiler, and nodes without compiled language have none."""
        return self >= (1, 0)

    @property
    def credentials_by_variable(self) -> bool:
        """Mirrors take `access_pair` with names of variables (lib/spack/spack/schema/mirrors.py, v0.23)."""
        return self >= (0, 23)

    @property
    def mirrors_can_be_unsigned(self) -> bool:
        """Mirrors know the key `signed` (lib/spack/spack/schema/mirrors.py, v0.22)."""
        return self >= (0, 22)


SUPPORTED: Final = (
    SpackLine(0, 21),
    SpackLine(0, 22),
    SpackLine(0, 23),
    SpackLine(1, 0),
    SpackLine(1, 1),
    SpackLine(1, 2),
)


def line_of_ref(ref: str) -> SpackLine:
    """The line that a release tag or branch of Spack names (`v1.1.0`, `releases/v0.23`). Else raises `ValueError`."""
    match = re.fullmatch(r"(?:releases/)?v(\d+\.\d+(?:\.\d+)*)", ref)
    if not match and (version := re.fullmatch(r"(releases/)?(\d+(?:\.\d+)+)", ref)):
        raise ValueError(f"{ref!r} is a version, not a tag or branch of Spack; write '{version[1] or ''}v{version[2]}'")
    if not match:
        raise ValueError(f"the Spack version cannot be told from the ref {ref!r}; add 'version: \"1.1\"' beside it")
    return SpackLine.parse(match[1])
