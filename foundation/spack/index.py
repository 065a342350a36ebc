"""The index of a binary mirror: which specs there are, with all that they depend on.

Read without ever holding the whole document as objects: an index of hundreds of thousands of specs is hundreds of
megabytes of text. What stays the same is written back letter for letter.

Source: `_write_to_file` and `_read_from_file` in lib/spack/spack/database.py (database versions 6 to 8) and
`BuildCacheDatabase` in lib/spack/spack/binary_distribution.py of Spack v0.18 to v1.1.0.
"""

from __future__ import annotations

import io
import json
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from foundation.errors import DamagedError, RefusedError
from foundation.spack.releases import DATABASES
from foundation.spack.specs import Node, Spec, spec_of, upgraded


@dataclass(frozen=True, slots=True)
class IndexRecord:
    """A spec in an index, and where in its text."""

    spec: Spec
    in_buildcache: bool
    """Whether Spack takes it to be in the cache; others are only depended on."""
    ref_count: int
    """How many records of the index depend on it."""
    start: int
    end: int
    """Where its value stands in the text of the index, in characters: from `start` up to before `end`."""


@dataclass(frozen=True, slots=True)
class Index:
    """An index: the version of its database, its records by DAG hash, and its text."""

    version: int
    records: Mapping[str, IndexRecord] = field(default_factory=dict)
    text: str = field(default="", repr=False)

    @property
    def listed(self) -> frozenset[str]:
        """The DAG hashes that Spack takes to be in the cache."""
        return frozenset(hash_ for hash_, record in self.records.items() if record.in_buildcache)


def read_index(data: bytes, place: str) -> Index:
    """Read an index. Raises `DamagedError`, and `RefusedError` for a version that is not known."""
    version = 0
    records: dict[str, IndexRecord] = {}
    try:
        text = data.decode()
        reader = _JsonReader(text)
        for section in reader.members():
            if section != "database":
                reader.value()
                continue
            for name in reader.members():
                if name == "version":
                    version = _known(reader.value(), place)
                elif name == "installs":
                    records = dict(_records(reader))
                else:
                    reader.value()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DamagedError(f"{place}: not laid out like an index of Spack ({error}); 'spackitor reindex'?") from None
    if not version:
        raise DamagedError(f"{place}: an index without a version")
    return Index(version, records, text)


def _known(value: object, place: str) -> int:
    if str(value) not in map(str, DATABASES):
        known = ", ".join(map(str, DATABASES))
        raise RefusedError(f"{place}: index version {value!r} is not known (known are {known}); nothing is changed")
    return int(str(value))


def _records(reader: _JsonReader) -> Iterator[tuple[str, IndexRecord]]:
    for hash_ in reader.members():
        start = reader.at
        value = reader.value()
        spec = spec_of(value["spec"], hash_)
        yield (
            spec.hash,
            IndexRecord(spec, bool(value.get("in_buildcache")), int(value.get("ref_count", 0)), start, reader.at),
        )


def write_index(
    old: Index | None, version: int, cached: Collection[str], nodes: Mapping[str, tuple[int, Node]]
) -> bytes:
    """An index of the specs with these DAG hashes, and of all that they depend on.

    Their records come from `old`, or from `nodes`: nodes by DAG hash, each with its database version, for what was not
    in the index before. `version` is the one to write, no lower than those of the others.

    What always holds of the result: each spec of `cached` that has a record, and everything that it depends on, stands
    in it once, and nothing else; `ref_count` is the number of records that depend on a record, as Spack counts; old
    records keep their order and their fields, also those that nobody here knows. The cost is linear in specs and edges,
    but only records whose version, count or flag changes are decoded: the text of all others is copied.
    """
    known = old.records if old else {}
    edges = {hash_: record.spec.counted for hash_, record in known.items()}
    edges |= {hash_: spec_of(node, hash_).counted for hash_, (_, node) in nodes.items() if hash_ not in known}
    wanted = _with_dependencies(cached, edges)
    counts: Counter[str] = Counter(dependency for hash_ in wanted for dependency in edges[hash_])
    result = io.BytesIO()
    result.write(f'{{"database":{{"version":"{version}","installs":{{'.encode())
    separator = ""
    for hash_ in edges:  # the old order, then that of the new ones
        if hash_ not in wanted:
            continue
        in_buildcache, ref_count = hash_ in cached, counts[hash_]
        if hash_ in known and old:
            text = _old_record(old, known[hash_], version, in_buildcache=in_buildcache, ref_count=ref_count)
        else:
            node_version, node = nodes[hash_]
            text = _dump(_record(upgraded(node, node_version, version), ref_count, in_buildcache=in_buildcache))
        result.write(f'{separator}"{hash_}":{text}'.encode())
        separator = ","
    result.write(b"}}}")
    return result.getvalue()


def _with_dependencies(cached: Collection[str], edges: Mapping[str, tuple[str, ...]]) -> set[str]:
    found: set[str] = set()
    todo = [hash_ for hash_ in cached if hash_ in edges]
    while todo:
        hash_ = todo.pop()
        if hash_ not in found:
            found.add(hash_)
            todo += [dependency for dependency in edges[hash_] if dependency in edges]
    return found


def _old_record(old: Index, record: IndexRecord, version: int, *, in_buildcache: bool, ref_count: int) -> str:
    text = old.text[record.start : record.end]
    if (old.version, record.in_buildcache, record.ref_count) == (version, in_buildcache, ref_count):
        return text
    value = json.loads(text)
    return _dump(value | _record(upgraded(value["spec"], old.version, version), ref_count, in_buildcache=in_buildcache))


def _record(node: Node, ref_count: int, *, in_buildcache: bool) -> dict[str, Any]:
    return {"spec": node, "ref_count": ref_count, "in_buildcache": in_buildcache}


def _dump(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


class _JsonReader:
    """Reads JSON piece by piece: walks into the objects that the caller asks for, and decodes the rest at C's speed."""

    _space = re.compile(r"[ \t\r\n]*")
    _decoder = json.JSONDecoder()

    def __init__(self, text: str) -> None:
        self._text = text
        self.at = 0
        self._skip_space()

    def members(self) -> Iterator[str]:
        """The keys of the object that starts here; for each, the caller has to read the value before the next."""
        self._take("{")
        if self._text[self.at : self.at + 1] == "}":
            self._take("}")
            return
        while True:
            key = self.value()
            if not isinstance(key, str):
                raise ValueError(f"a name expected before character {self.at}")
            self._skip_space()
            self._take(":")
            yield key
            self._skip_space()
            if self._text[self.at : self.at + 1] == "}":
                self._take("}")
                return
            self._take(",")

    def value(self) -> Any:
        """The value that starts here."""
        value, self.at = self._decoder.raw_decode(self._text, self.at)
        return value

    def _take(self, sign: str) -> None:
        if self._text[self.at : self.at + 1] != sign:
            raise ValueError(f"{sign!r} expected at character {self.at}")
        self.at += 1
        self._skip_space()

    def _skip_space(self) -> None:
        match = self._space.match(self._text, self.at)
        self.at = match.end() if match else self.at
