"""Values as GitLab has them after it has read YAML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class Symbol(str):
    """A plain `:word`, which Ruby reads as a symbol: text for some keywords, for others not."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Reference:
    """`!reference [job, keyword]`: what stands there counts."""

    path: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that GitLab would refuse."""

    job: str
    """The job, or the keyword of the whole pipeline; empty where it is about no single one."""
    keyword: str
    """The keyword and what is below it, `image:entrypoint`; empty where it is about the whole job."""
    message: str

    def __str__(self) -> str:
        """`job: keyword: message`."""
        return ": ".join(part for part in (self.job or "pipeline", self.keyword, self.message) if part)


class UnreadableError(Exception):
    """GitLab could not even read the text, or would find no meaning in it; `line` counts from 1, 0 is unknown."""

    def __init__(self, message: str, line: int = 0, finding: Finding | None = None) -> None:
        self.line = line
        self.finding = finding or Finding("", "", message)
        super().__init__(message)


def is_text(value: object) -> bool:
    """Whether it is a text for Ruby; symbols are none."""
    return isinstance(value, str) and not isinstance(value, Symbol)


def is_integer(value: object) -> bool:
    """Whether it is a whole number; to Python, `True` is one."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_blank(value: object) -> bool:
    """Whether Ruby on Rails takes it for nothing: null, false, white space, an empty list or mapping."""
    if isinstance(value, str):
        return not value.strip()
    return value is None or value is False or (isinstance(value, list | tuple | Mapping) and not value)


def as_list(value: object) -> list[Any]:
    """The value itself if it is a list, else a list with it alone; nothing for null."""
    return list(value) if isinstance(value, list | tuple) else [] if value is None else [value]


def flattened(value: object) -> list[Any]:
    """The values of a list and of all lists in it."""
    if not isinstance(value, list | tuple):
        return [value]
    if not any(isinstance(inner, list | tuple) for inner in value):
        return list(value)
    return [item for inner in value for item in flattened(inner)]
