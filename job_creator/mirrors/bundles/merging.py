"""What a mirror and a bundle both have and only together is right: indexes, notes, and what refers to commits. Pure.

A bundle may be older than the mirror, or come from another one. What it lists is added to what is listed; nothing that
is there and was listed before is no longer listed afterwards.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from foundation.errors import DamagedError, RefusedError
from foundation.spack import layout_v2, layout_v3
from foundation.spack.index import Index, read_index, write_index
from foundation.spack.source_needs import NEEDS_KEY, read_needs
from foundation.stores.documents import json_of
from foundation.stores.store import Content
from job_creator.mirrors.contents import COMMITS_KEY, OF_ONE_PLACE

_REPOSITORY: Final = re.compile(r"(?P<folder>recipes/(?P<name>[^/]+)\.git)/(?P<rest>(?!objects/(?!info/)).*)")
_NAMES: Final = {"recipes/spack.git": "spack", "recipes/packages.git": "packages"}
_MAIN: Final = "refs/heads/main"
_DERIVED: Final = {layout_v2.INDEX_CHECKSUM}
"""Written together with what they are made of."""

Reader = Callable[[str], bytes | None]


@dataclass(frozen=True)
class Sides:
    """What lies in the mirror and what the bundle brings, by key, and the DAG hashes of specs that either has."""

    here: Reader
    there: Reader
    specs: frozenset[str]


def is_merged(key: str) -> bool:
    """Whether a file of the mirror is never replaced by that of a bundle, but takes what that one has."""
    return (
        bool(layout_v3.INDEX_MANIFEST.fullmatch(key) or _REPOSITORY.fullmatch(key))
        or key in {layout_v3.KEY_INDEX, layout_v2.INDEX, layout_v2.KEY_INDEX, NEEDS_KEY, COMMITS_KEY}
        or key in _DERIVED | OF_ONE_PLACE
    )


def merge(key: str, sides: Sides) -> dict[str, bytes]:
    """What has to be written, in this order, so that the mirror's file has what the bundle's has; empty for nothing.

    A file of the mirror that cannot be read gives way to that of the bundle, and one of the bundle adds nothing then.
    """
    here, there = sides.here(key), sides.there(key)
    if there is None or here == there or key in _DERIVED | OF_ONE_PLACE:
        return {}
    if here is None:
        return {key: there}
    if layout_v3.INDEX_MANIFEST.fullmatch(key):
        return _index(key, sides, here, there)
    if key == layout_v2.INDEX:
        return _index_v2(sides, here, there)
    if key == layout_v3.KEY_INDEX:
        return _key_index(sides, here, there)
    made = _note(key, sides, here, there)
    return {} if made == here else {key: made}


def _index(key: str, sides: Sides, here: bytes, there: bytes) -> dict[str, bytes]:
    old, new = (_index_behind(read, one, key) for read, one in ((sides.here, here), (sides.there, there)))
    if old is None:
        return {key: there}
    if new is None:
        return {}
    listed = (old.listed | new.listed) & sides.specs
    if listed <= old.listed:
        return {}
    if listed == new.listed:
        return {key: there}
    version = max(old.version, new.version)
    blob, data, manifest = layout_v3.index_objects(_both(old, new, version, listed), version)
    return {blob: data, key: manifest}


def _index_v2(sides: Sides, here: bytes, there: bytes) -> dict[str, bytes]:
    old, new = _readable(here, layout_v2.INDEX), _readable(there, layout_v2.INDEX)
    if new is None:
        return {} if old else {layout_v2.INDEX: there, layout_v2.INDEX_CHECKSUM: _checksum(there)}
    listed = (new.listed | (old.listed if old else frozenset())) & sides.specs
    if old and listed <= old.listed:
        return {}
    data = there if old is None or listed == new.listed else _both(old, new, max(old.version, new.version), listed)
    return {layout_v2.INDEX: data, layout_v2.INDEX_CHECKSUM: _checksum(data)}


def _checksum(data: bytes) -> bytes:
    return hashlib.sha256(data).hexdigest().encode()


def _both(old: Index, new: Index, version: int, listed: frozenset[str]) -> bytes:
    nodes = {
        hash_: (new.version, json.loads(new.text[record.start : record.end])["spec"])
        for hash_, record in new.records.items()
        if hash_ not in old.records
    }
    return write_index(old, version, listed, nodes)


def _index_behind(read: Reader, manifest: bytes, key: str) -> Index | None:
    blob = layout_v3.index_blob(layout_v3.read_manifest(Content(manifest, ""), key))
    data = read(blob) if blob else None
    return None if data is None else _readable(data, blob)


def _readable(data: bytes, place: str) -> Index | None:
    try:
        return read_index(data, place)
    except (DamagedError, RefusedError):
        return None


def _key_index(sides: Sides, here: bytes, there: bytes) -> dict[str, bytes]:
    key = layout_v3.KEY_INDEX
    blobs = [layout_v3.read_manifest(Content(one, ""), key).blob(layout_v3.KEY_INDEX_TYPE) for one in (here, there)]
    old, new = (read(blob.key) if blob else None for read, blob in zip((sides.here, sides.there), blobs, strict=True))
    if new is None:
        return {}
    made = _keys(old, new)
    if made == old:
        return {}
    if made == new:
        return {key: there}
    blob, data, manifest = layout_v3.key_index_objects(made)
    return {blob: data, key: manifest}


def _keys(here: bytes | None, there: bytes) -> bytes:
    try:
        old, new = json_of(here or b'{"keys": {}}')["keys"], json_of(there)["keys"]
        if new.keys() <= old.keys():
            return here or there
        return there if old.keys() <= new.keys() else json.dumps({"keys": {**new, **old}}).encode()
    except (ValueError, KeyError, TypeError, AttributeError):
        return here or there


def _note(key: str, sides: Sides, here: bytes, there: bytes) -> bytes:
    if key == layout_v2.KEY_INDEX:
        return _keys(here, there)
    if key == NEEDS_KEY:
        return _needs(here, there)
    if key == COMMITS_KEY:
        return _commits_as_json(_commits(here), _commits(there), here, there)
    match = _REPOSITORY.fullmatch(key)
    if match and match["rest"] == _MAIN:
        return _main(match["folder"], sides, here, there)
    if match and match["rest"] == "shallow":
        return _lines(here, there)
    if match and match["rest"] == "packed-refs":
        return _references(here, there)
    return here


def _needs(here: bytes, there: bytes) -> bytes:
    try:
        new = read_needs(there, NEEDS_KEY)
        old = read_needs(here, NEEDS_KEY)
    except DamagedError:
        return here if _is_json(here) else there
    if new.packages.keys() <= old.packages.keys():
        return here
    return there if old.packages.items() <= new.packages.items() else new.merged(old).as_json()


def _is_json(data: bytes) -> bool:
    try:
        json_of(data)
    except ValueError:
        return False
    return True


def _commits(data: bytes) -> Mapping[str, list[str]]:
    try:
        value = json_of(data)
        return {name: [str(one) for one in commits] for name, commits in value.items()}
    except (ValueError, TypeError, AttributeError):
        return {}


def _commits_as_json(old: Mapping[str, list[str]], new: Mapping[str, list[str]], here: bytes, there: bytes) -> bytes:
    both = {name: _in_order(old.get(name, []), new.get(name, [])) for name in dict.fromkeys((*old, *new))}
    if both == old:
        return here
    return there if both == new else json.dumps(both, indent=1).encode() + b"\n"


def _in_order(old: list[str], new: list[str]) -> list[str]:
    """All commits, the latest first: the bundle's, if it knows all of the mirror's, otherwise the mirror's."""
    first, then = (new, old) if set(old) <= set(new) else (old, new)
    return list(dict.fromkeys((*first, *then)))


def _main(folder: str, sides: Sides, here: bytes, there: bytes) -> bytes:
    """What is checked out unless somebody asks for a commit: the latest one that the mirror was filled for."""
    name = _NAMES.get(folder, "")
    notes = [_commits(read(COMMITS_KEY) or b"{}").get(name, []) for read in (sides.here, sides.there)]
    latest = _in_order(*notes)[:1]
    return there if [there.decode(errors="replace").strip()] == latest else here


def _lines(here: bytes, there: bytes) -> bytes:
    return b"".join(line + b"\n" for line in dict.fromkeys((*here.splitlines(), *there.splitlines())))


def _references(here: bytes, there: bytes) -> bytes:
    """Both lists of references, sorted as git writes them; where one is in both, that of the mirror."""
    found: dict[bytes, list[bytes]] = {}
    for data in (there, here):
        name = b""
        for line in data.splitlines():
            if line.startswith(b"^"):  # what the tag before leads to
                found[name].append(line)
            elif line and not line.startswith(b"#"):
                name = line.partition(b" ")[2]
                found[name] = [line]
    body = b"".join(line + b"\n" for name in sorted(found) for line in found[name])
    return b"# pack-refs with: peeled fully-peeled sorted \n" + body
