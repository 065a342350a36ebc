"""Versions as specs name them: which ranges are empty, and which lists have a version in common.

Source: lib/spack/spack/version/version_types.py (v0.21 to v1.1).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

_Component = tuple[int, int | str]
"""Text is older than any number, and names of branches are newer."""
_Key = tuple[tuple[_Component, ...], tuple[int, ...]]
"""Sorts versions: their components, and how far before the release they are."""

_BRANCHES: Final = ("stable", "nightly", "trunk", "head", "master", "main", "develop")
"""The last one is the newest."""
_BEFORE_RELEASE: Final = {"alpha": 0, "beta": 1, "rc": 2, "final": 3}
_RELEASED: Final = (3,)
_OLDEST: Final[_Key] = ((), (0,))
_NEWEST: Final[_Key] = (((2, len(_BRANCHES)),), _RELEASED)
_VALID: Final = re.compile(r"[A-Za-z0-9_.-][=A-Za-z0-9_.-]*")
_SEGMENT: Final = re.compile(r"([0-9]+)|([a-zA-Z]+)")
_COMMIT: Final = re.compile(r"[A-Fa-f0-9]{40}")


@dataclass(frozen=True, slots=True)
class Span:
    """Versions from one to another, that one itself left out; `end` is `None` for a single version."""

    start: _Key
    end: _Key | None

    def meets(self, other: Span) -> bool:
        """Whether a version is in both."""
        if self.end is None or other.end is None:
            return self.has(other.start) if other.end is None else other.has(self.start)
        return self.start < other.end and other.start < self.end

    def has(self, key: _Key) -> bool:
        """Whether a version is in it."""
        return self.start == key if self.end is None else self.start <= key < self.end


@dataclass(frozen=True, slots=True)
class Versions:
    """What stands behind `@`."""

    text: str
    spans: tuple[Span, ...]
    """Without those of commits and branches whose version nobody says."""
    any_commit: bool = False
    """Whether a commit or branch stands there whose version nobody says."""

    @property
    def is_single(self) -> bool:
        """Whether it could be one version: neither a range nor a list."""
        return not set(self.text) & {":", ","}

    def meet(self, other: Versions) -> bool:
        """Whether a version is in both, as far as that can be known without the package's repository."""
        if self.any_commit or other.any_commit:
            return True
        return any(one.meets(another) for one in self.spans for another in other.spans)

    def hold(self, version: str) -> bool:
        """Whether a concrete version is one of them.

        Raises `LookupError` where only the package's repository knows: for commits and branches without a version.
        """
        return any(_holds(part, version) for part in self.text.replace(" ", "").split(","))


@lru_cache(maxsize=4096)
def read_versions(text: str) -> Versions:
    """What stands behind `@`. Raises `ValueError` for an empty range, and for text that is no version."""
    plain = text.replace(" ", "")
    parts = plain.split(",")
    found = [_span(part) for part in parts]
    if None in found and len(found) > 1:
        raise ValueError("a commit or branch without '=version' cannot stand in a list; write @git.REF=VERSION")
    return Versions(text, tuple(one for one in found if one), None in found)


def _holds(part: str, version: str) -> bool:
    ref, key = _git(version)
    exact = part.startswith("=")
    asked_ref, asked_key = ("", None) if ":" in part else _git(part[1:] if exact else part)
    if asked_ref:
        if asked_key is None:
            raise LookupError(part)
        return (ref, key) == (asked_ref, asked_key)
    if key is None:
        raise LookupError(version)
    span = _span(part)
    return span is not None and span.has(key) and not (exact and ref)


def _git(text: str) -> tuple[str, _Key | None]:
    """The commit or branch in a version, and the version that is said of it; of any other, that one."""
    ref, has_version, version = text.removeprefix("git.").partition("=")
    if not (has_version or text.startswith("git.") or _COMMIT.fullmatch(text)):
        return "", _key(text)
    return ref, _key(version) if has_version else None


def _span(text: str) -> Span | None:
    if ":" in text:
        start, _, end = text.partition(":")
        low = _key(start) if start else _OLDEST
        high = _after(_key(end)) if end else _after(_NEWEST)
        if high < low:
            raise ValueError(f"{text} is an empty range; the smaller version comes first")
        return Span(low, high)
    exact = text.startswith("=")
    name = text[1:] if exact else text
    if name.startswith("git.") or _COMMIT.fullmatch(name) or "=" in name[1:]:
        ref = name.removeprefix("git.")
        if ref.count("=") > 1:
            raise ValueError(f"{text} has two '='; write @git.REF=VERSION")
        _, has_version, version = ref.partition("=")
        return Span(_key(version), None) if has_version else None
    key = _key(name)
    return Span(key, None) if exact else Span(key, _after(key))


def _key(text: str) -> _Key:
    text = text.strip()
    if text and not _VALID.fullmatch(text):
        raise ValueError(f"{text!r} is no version")
    segments = [one[0] for one in _SEGMENT.finditer(text)]
    stage: tuple[int, ...] = _RELEASED
    if len(segments) >= 3 and segments[-2] in _BEFORE_RELEASE and segments[-1].isdigit():
        stage = (_BEFORE_RELEASE[segments[-2]], int(segments[-1]))
        segments = segments[:-2]
    elif len(segments) >= 2 and segments[-1] in _BEFORE_RELEASE:
        stage = (_BEFORE_RELEASE[segments[-1]],)
        segments = segments[:-1]
    return tuple(map(_component, segments)), stage


def _component(segment: str) -> _Component:
    if segment.isdigit():
        return 1, int(segment)
    return (2, _BRANCHES.index(segment)) if segment in _BRANCHES else (0, segment)


def _after(key: _Key) -> _Key:
    """The first version behind all that begin with one."""
    components, stage = key
    if stage != _RELEASED:
        return components, (stage[0], stage[1] + 1 if len(stage) > 1 else 0)
    if not components:
        return ((0, "A"),), stage
    kind, value = components[-1]
    following = value + 1 if isinstance(value, int) else _after_text(value)
    return (*components[:-1], (kind, following)), stage


def _after_text(text: str) -> str:
    while True:
        last = text[-1:]
        text = text + "A" if last in ("", "z") else text[:-1] + ("a" if last == "Z" else chr(ord(last) + 1))
        if text not in _BRANCHES:
            return text
