"""Roots: the specs that are in use, and with them everything that they need.

Some come with the command line, others are recorded in the mirror itself, one object for each branch or published
image; so cleaning for one branch never removes what another one uses.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote, unquote

from foundation.errors import DamagedError, Fault, InvalidInputError
from foundation.spack.lockfile import LockedSpec, read_lockfile
from foundation.stores.documents import json_of, seconds_of, texts_of
from foundation.stores.store import SPACKITOR_FOLDER, Content

ROOTS_FOLDER: Final = f"{SPACKITOR_FOLDER}roots/"
_VERSION: Final = 1
_HASH: Final = re.compile(r"[a-z2-7]{32}")


@dataclass(frozen=True, slots=True)
class SpecNeeds:
    """What a spec needs: to run, and to be built, as DAG hashes."""

    runtime: tuple[str, ...]
    build: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RootSet:
    """Specs in use, by DAG hash, and what is known of their dependencies. `until` is in seconds since 1970.

    `externals` are those that are installed otherwise, and never in a mirror.
    """

    name: str
    hashes: tuple[str, ...]
    edges: Mapping[str, SpecNeeds] = field(default_factory=dict)
    until: float | None = None
    externals: frozenset[str] = frozenset()
    damage: str = ""
    """Why it cannot be read, and what to do; what it holds is not known then."""

    def is_over(self, now: float) -> bool:
        """Whether it no longer counts."""
        return self.until is not None and self.until <= now


def key_of(name: str) -> str:
    """Where a root set is stored; any name of a branch will do."""
    return f"{ROOTS_FOLDER}{quote(name, safe='')}.json"


def name_of(key: str) -> str:
    """The name of the root set that is stored there."""
    return unquote(key.removeprefix(ROOTS_FOLDER).removesuffix(".json"))


def roots_of_lockfile(content: bytes, path: str) -> RootSet:
    """The roots of an environment and of those that it includes. Raises `InvalidInputError`, also if it has none."""
    lock = read_lockfile(content, path)
    hashes = dict.fromkeys((*lock.roots, *lock.included_roots))
    if not hashes:
        raise InvalidInputError([Fault(path, 1, 1, "an environment without roots", "was it concretized?")])
    externals = frozenset(hash_ for hash_, spec in lock.specs.items() if spec.is_external)
    edges = {hash_: _needs(spec) for hash_, spec in lock.specs.items()}
    return RootSet(path, tuple(hashes), edges, externals=externals)


def roots_of_keep_list(content: bytes, path: str) -> RootSet:
    """The DAG hashes of a keep list, one on each line, as 'spack buildcache prune --keeplist' takes it.

    Empty lines and what follows a '#' do not count. Raises `InvalidInputError`, also if there is no hash at all.
    """
    faults, hashes = [], []
    for number, line in enumerate(content.decode(errors="replace").splitlines(), 1):
        text = line.partition("#")[0].strip().lstrip("/")
        if _HASH.fullmatch(text):
            hashes.append(text)
        elif text:
            faults.append(Fault(path, number, 1, f"{text!r} is no DAG hash", "write all 32 characters"))
    if faults or not hashes:
        raise InvalidInputError(faults or [Fault(path, 1, 1, "no DAG hash in it", "nothing would be kept")])
    return RootSet(path, tuple(dict.fromkeys(hashes)))


def require_readable(url: str, roots: Iterable[RootSet]) -> None:
    """Raise `DamagedError` if it is not known what some roots hold."""
    for one in roots:
        if one.damage:
            raise DamagedError(f"{url}: what is in use is not known, so nothing is removed: {one.damage}")


def union(name: str, sets: Iterable[RootSet], until: float | None) -> RootSet:
    """Several root sets as one."""
    every = tuple(sets)
    hashes = dict.fromkeys(hash_ for one in every for hash_ in one.hashes)
    edges = {hash_: needs for one in every for hash_, needs in one.edges.items()}
    return RootSet(name, tuple(hashes), edges, until, frozenset().union(*(one.externals for one in every)))


def root_set_as_json(roots: RootSet) -> bytes:
    """A root set as it is stored."""
    edges = {hash_: [needs.runtime, needs.build] for hash_, needs in roots.edges.items()}
    value = {
        "version": _VERSION,
        "name": roots.name,
        "until": roots.until,
        "hashes": roots.hashes,
        "edges": edges,
        "externals": sorted(roots.externals),
    }
    return json.dumps(value, indent=0).encode()


def read_root_set(content: Content, key: str) -> RootSet:
    """Read a root set. Raises `DamagedError`: without it, nobody knows what is in use."""
    try:
        value = json_of(content.data)
        if value["version"] != _VERSION:
            raise DamagedError(f"{key}: written by a newer spackitor (version {value['version']!r})")
        edges = {hash_: SpecNeeds(*map(texts_of, both)) for hash_, both in value["edges"].items()}
        # What was recorded before there were sources does not tell externals apart.
        externals = frozenset(texts_of(value.get("externals", [])))
        until = None if value["until"] is None else seconds_of(value["until"])
        return RootSet(str(value["name"]), texts_of(value["hashes"]), edges, until, externals)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        raise DamagedError(
            f"{key}: not a root set (is it truncated?); record it again: spackitor keep … --as {name_of(key)}, "
            f"or drop it: spackitor forget … {name_of(key)}"
        ) from None


def _needs(spec: LockedSpec) -> SpecNeeds:
    runtime = set(spec.runtime_dependencies)
    return SpecNeeds(spec.runtime_dependencies, tuple(one for one in spec.dependencies if one not in runtime))
