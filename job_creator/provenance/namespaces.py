"""Where images of the default branch are in a registry, and where those of all others: no name or tag is both. Pure.

Tags of branches have `__` in them, and those of the default branch never do, so that one rule of a registry can protect
all of the latter (GitLab docs, "Protected container tags").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

BRANCHES: Final = "branches__"
"""What the repositories of branches begin with. No container can be called so, and registries take it everywhere."""
_ANY: Final = "any__"
"""What tags begin with there that are no one branch's."""
TAG_LENGTH: Final = 16
"""Hex digits of a fingerprint in a tag: 64 bits, plenty for the images of one project."""


@dataclass(frozen=True, slots=True)
class Namespace:
    """The part of a registry that a run writes to."""

    registry: str
    """Registry and group of all images."""
    is_default_branch: bool

    def repository(self, name: str) -> str:
        """Where the images of a name are that this run makes."""
        return f"{self.registry}/{'' if self.is_default_branch else BRANCHES}{name}"

    @property
    def other(self) -> Namespace:
        """The part that all other kinds of runs write to."""
        return Namespace(self.registry, not self.is_default_branch)


def is_of_branches(repository: str) -> bool:
    """Whether a repository holds what branches made, which the default branch believes only with a signature."""
    return repository.rpartition("/")[2].startswith(BRANCHES)


def content_tag(repository: str, fingerprint: str, architecture: str) -> str:
    """The tag that says what an image was made from."""
    return _shared(repository, f"{fingerprint[:TAG_LENGTH]}-{architecture}")


def statement_reference(repository: str, digest: str) -> str:
    """Where the signed statement about an image is."""
    algorithm, _, digits = digest.partition(":")
    return f"{repository}:{_shared(repository, f'{algorithm}-{digits}.statement')}"


def _shared(repository: str, tag: str) -> str:
    return f"{_ANY}{tag}" if is_of_branches(repository) else tag
