"""Merging as Spack does it, with its marks `::`, `+:` and `-:`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from foundation.yaml_io import Location

_MARKS = (":", "+", "-")
"""What Spack's `key::`, `key+:` and `key-:` leave at the end of a key that YAML has read."""


_NOT_CONFIGURATION = {"specs", "definitions", "view", "include", "include_concrete"}
"""Keys of an environment that no lower configuration scope has, so that a mark on them means nothing to Spack."""


_LISTS_ADD_UP = frozenset({"ci"})
"""Sections whose entries of lists are settings, the first of which is the strongest; those of the site are among them.
"""


def merge(weaker: Mapping[str, Any], stronger: Mapping[str, Any], *, lists_add_up: bool = False) -> dict[str, Any]:
    """Two levels of an environment as one; neither argument is changed.

    Mappings merge key by key, everything else is replaced, unless the stronger key carries one of Spack's marks
    (Spack docs, "Configuration files"): `key::` drops what the weaker side has under it, and stays marked so that
    Spack drops its own lower scopes as well; `key+:` puts a list before the weaker one, `key-:` after it.

    With `lists_add_up`, and below `ci`, a list comes before the weaker one also without a mark, as it is between the
    scopes of Spack's configuration (`merge_yaml` in lib/spack/spack/config.py).
    """
    result = dict(weaker)
    for marked, value in stronger.items():
        name, mark = _split(marked)
        below = next((key for key in result if _split(key)[0] == name), None)
        inherited = result.get(below) if below is not None else None
        if mark == ":":
            result = _replaced(result, below, name if name in _NOT_CONFIGURATION else marked, value)
        elif isinstance(value, Mapping):
            adds_up = lists_add_up or name in _LISTS_ADD_UP
            inner = merge(inherited if isinstance(inherited, Mapping) else {}, value, lists_add_up=adds_up)
            result = _replaced(result, below, below or marked, inner)
        elif (mark or lists_add_up) and isinstance(value, list) and isinstance(inherited, list):
            joined = [*inherited, *value] if mark == "-" else [*value, *inherited]
            result = _replaced(result, below, marked if mark and lists_add_up else below or name, joined)
        else:
            key = marked if mark and below is None and name not in _NOT_CONFIGURATION else name
            result = _replaced(result, below, key, value)
    return result


def without_order_marks(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """The mapping, and those in it, without `+` and `-` at keys.

    In files Spack knows the mark `::` alone (`construct_yaml_str` in lib/spack/spack/util/spack_yaml.py). What stands
    in lists is left as it is: those below `ci:` are merged by Spack, which reads all marks there.
    """
    return {
        (_split(key)[0] if _split(key)[1] in ("+", "-") else key): (
            without_order_marks(value) if isinstance(value, Mapping) else value
        )
        for key, value in mapping.items()
    }


def unmarked(key: str) -> str:
    """The name of a key, without the mark that may stand at its end."""
    return _split(key)[0]


def key_of(mapping: Mapping[str, Any], name: str) -> str:
    """How a key is written here, whose mark is part of it; the name itself if it is not there."""
    return next((key for key in mapping if _split(key)[0] == name), name)


EACH: Final = "*"
"""In a path, every entry of a list or mapping."""


def found_at(value: Any, path: Sequence[str], place: Location = ()) -> Iterator[tuple[Location, Any]]:
    """What stands at a path of keys, which may have marks, with the place of each: its keys as they were written."""
    if not path:
        yield place, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            if path[0] in (EACH, unmarked(str(key))):
                yield from found_at(inner, path[1:], (*place, key))
    elif isinstance(value, list) and path[0] == EACH:
        for index, item in enumerate(value):
            yield from found_at(item, path[1:], (*place, index))


def replaces(key: str) -> bool:
    """Whether the mark of a key drops what weaker levels have below it."""
    return _split(key)[1] == ":"


@lru_cache(maxsize=4096)
def _split(key: str) -> tuple[str, str]:
    return (key[:-1], key[-1]) if len(key) > 1 and key.endswith(_MARKS) else (key, "")


def _replaced(mapping: Mapping[str, Any], old: str | None, new: str, value: Any) -> dict[str, Any]:
    """The mapping with one entry exchanged at its place, or added at the end."""
    if old is None:
        return {**mapping, new: value}
    return {(new if key == old else key): (value if key == old else inner) for key, inner in mapping.items()}
