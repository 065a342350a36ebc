"""How large things are for GitLab: what Ruby takes for parsed YAML, and the archives of artifacts.

Source: lib/gitlab/utils/deep_size.rb, measured with Ruby 3.1.2 and 3.3.8.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, NamedTuple

PARSED_SIZE_SAFETY: Final = 1.1
"""For Rubies that were not measured."""


class _Ruby(NamedTuple):
    """How a version of Ruby lays objects out; all figures are bytes but `smallest_table`, which counts entries."""

    slots: tuple[int, ...]
    string_header: int
    small_mapping: int
    mapping_header: int
    smallest_table: int


RUBY_3_1: Final = _Ruby((40,), 16, 168, 96, 32)
RUBY_3_3: Final = _Ruby((40, 80, 160, 320, 640), 24, 160, 160, 16)


def parsed_size(value: object) -> int:
    """The memory in bytes that GitLab counts for a parsed value: every string, list and mapping, shared or not.

    The larger of what Ruby 3.1 and Ruby 3.3 take on 64 bits: `ObjectSpace.memsize_of` of what `YAML.load` returns.
    """
    return max(size_in(RUBY_3_1, value), size_in(RUBY_3_3, value))


def size_in(ruby: _Ruby, value: object) -> int:
    """The same in one version of Ruby; GitLab 18 runs on 3.3."""
    return _total(value, ruby, {})


def archive_size(files: Mapping[str, bytes]) -> int:
    """The size in bytes of the zip archive that a runner makes of the files (deflate, one entry each)."""
    entry = 30 + 46 + 2 * 24  # local header, central directory, time stamps in both
    return 22 + sum(entry + 2 * len(name.encode()) + len(zlib.compress(content)) for name, content in files.items())


def _total(value: object, ruby: _Ruby, known: dict[int, int]) -> int:
    """`known` are sizes of lists and mappings by their `id`: aliases of aliases would else be counted for ever."""
    if isinstance(value, str):
        return _string_size(len(value) if value.isascii() else len(value.encode()), ruby)
    # Asking for `Mapping` takes longer than all else, and there are few others.
    if isinstance(value, dict) or (not isinstance(value, list | tuple) and isinstance(value, Mapping)):
        size = known.get(id(value))
        if size is None:
            size = _mapping_size(len(value), ruby)
            for key, inner in value.items():
                size += _total(key, ruby, known) + _total(inner, ruby, known)
            known[id(value)] = size
        return size
    if not isinstance(value, list | tuple):
        return 0
    size = known.get(id(value))
    if size is None:
        size = _list_size(len(value))
        for inner in value:
            size += _total(inner, ruby, known)
        known[id(value)] = size
    return size


@lru_cache(maxsize=2048)
def _string_size(length: int, ruby: _Ruby) -> int:
    """Longer strings than fit into a slot stand outside of it; the NUL at the end counts."""
    fitting = next((slot for slot in ruby.slots if length + ruby.string_header < slot), None)
    return fitting or 41 + length


@lru_cache(maxsize=2048)
def _list_size(length: int) -> int:
    """Lists grow by a half, and by 16 at least, whenever they are full."""
    if length <= 3:
        return 40
    capacity = 3
    while capacity < length:
        capacity += 1 + max(16, capacity // 2)
    return 40 + 8 * capacity


@lru_cache(maxsize=2048)
def _mapping_size(entries: int, ruby: _Ruby) -> int:
    """Up to 8 entries stand in the object; more have a table of a power of two, and bins of one, two or four bytes."""
    if entries <= 8:
        return ruby.small_mapping
    slots = max(ruby.smallest_table, 1 << (entries - 1).bit_length())
    width = 0 if slots <= 16 else 1 if slots * 2 <= 256 else 2 if slots * 2 <= 65536 else 4
    return ruby.mapping_header + 24 * slots + 2 * slots * width


def nesting(value: object, known: dict[int, int] | None = None) -> int:
    """Levels of lists and mappings in each other."""
    known = {} if known is None else known
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else None
    if inner is None:
        return 0
    if id(value) not in known:
        known[id(value)] = 1 + max((nesting(item, known) for item in inner), default=0)
    return known[id(value)]
