"""What jobs are after `extends` and `!reference` were followed, as GitLab follows them.

Source: GitLab docs, `extends` and `!reference`; lib/gitlab/ci/config/extendable, lib/gitlab/ci/config/yaml/tags.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from job_creator.engines.gitlab.verdict.values import Finding, Reference, UnreadableError, as_list

MAX_EXTENDS: Final = 11
"""Levels that `extends` may be deep."""


class NotHereError(Exception):
    """A reference leads to what another file may bring."""


def resolved(document: Mapping[Any, Any], *, has_includes: bool, has_references: bool) -> dict[Any, Any]:
    """The document with all bases merged in and all references replaced.

    With includes, a base that is not there may come from one of them. Raises `UnreadableError` for the first job that
    could not be resolved, `NotHereError` for a reference that leads into an include.
    """
    bases = _Bases(document, lenient=has_includes)
    extended = {name: bases.merged(name, ()) if _extends(value) else value for name, value in document.items()}
    if not has_references:
        return extended
    try:
        return {name: _without_references(value, extended, name) for name, value in extended.items()}
    except _MissingError as error:
        if has_includes:
            raise NotHereError from None
        raise _unreferenced(error.job, str(error)) from None


class _MissingError(Exception):
    def __init__(self, job: Any, message: str) -> None:
        self.job = job
        super().__init__(message)


def merge(base: Mapping[Any, Any], own: Mapping[Any, Any]) -> dict[Any, Any]:
    """Both, deeply: mappings are merged, all else is replaced."""
    result = dict(base)
    for key, value in own.items():
        inner = result.get(key)
        both = isinstance(value, Mapping) and isinstance(inner, Mapping)
        result[key] = merge(inner, value) if both else value  # type: ignore[arg-type]
    return result


def _extends(value: object) -> bool:
    return isinstance(value, Mapping) and "extends" in value


class _Bases:
    def __init__(self, document: Mapping[Any, Any], *, lenient: bool) -> None:
        self.document = document
        self.lenient = lenient
        self.known: dict[Any, tuple[Mapping[Any, Any], int]] = {}
        """Each base with all of its own merged in, and how many levels that were."""

    def merged(self, name: Any, way: tuple[Any, ...]) -> Mapping[Any, Any]:
        return self._merged(name, way)[0]

    def _merged(self, name: Any, way: tuple[Any, ...]) -> tuple[Mapping[Any, Any], int]:
        value = self.document[name]
        if not _extends(value):
            return value, 0
        if name in way:
            raise _unresolved(way[0], f"goes round in a circle: {' -> '.join(map(str, (*way, name)))}")
        if name not in self.known:
            result: Mapping[Any, Any] = {}
            levels = 0
            for base in self._names(name, value):
                inner, below = self._merged(base, (*way, name))
                result, levels = merge(result, inner), max(levels, below + 1)
            self.known[name] = merge(result, value), levels
        merged, levels = self.known[name]
        if len(way) + levels > MAX_EXTENDS:
            raise _unresolved(way[0] if way else name, f"goes over {MAX_EXTENDS} levels deep")
        return merged, levels

    def _names(self, name: Any, value: Mapping[Any, Any]) -> Iterator[Any]:
        for base in as_list(value["extends"]):
            named = str(base) if isinstance(base, str) else base
            if isinstance(named, str) and isinstance(self.document.get(named), Mapping):
                yield named
            elif isinstance(named, str) and named in self.document:
                raise _unresolved(name, f"'{named}' is no job")
            elif not self.lenient:
                raise _unresolved(name, f"there is no '{named}' here")


def _unresolved(job: Any, message: str) -> UnreadableError:
    return UnreadableError(message, finding=Finding(str(job), "extends", message))


def _without_references(value: Any, document: Mapping[Any, Any], job: Any, way: tuple[Reference, ...] = ()) -> Any:
    """The value itself where nothing in it refers to anything, so that what jobs share stays shared."""
    if isinstance(value, Reference):
        if value in way:
            raise _unreferenced(job, f"{_shown(value)} leads back to itself")
        return _without_references(_referenced(value, document, job), document, job, (*way, value))
    if isinstance(value, Mapping):
        values = {key: _without_references(inner, document, job, way) for key, inner in value.items()}
        return value if all(values[key] is inner for key, inner in value.items()) else values
    if isinstance(value, list):
        items = [_without_references(inner, document, job, way) for inner in value]
        return value if all(new is old for new, old in zip(items, value, strict=True)) else items
    return value


def _referenced(reference: Reference, document: Mapping[Any, Any], job: Any) -> Any:
    value: Any = document
    for key in reference.path:
        value = value.get(key) if isinstance(value, Mapping) else None
    if value is None or value is False:
        raise _MissingError(job, f"{_shown(reference)} does not exist")
    return value


def _shown(reference: Reference) -> str:
    return f"!reference [{', '.join(reference.path)}]"


def _unreferenced(job: Any, message: str) -> UnreadableError:
    return UnreadableError(message, finding=Finding(str(job), "", message))
