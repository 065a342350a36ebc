"""What is in a mirror, from a listing or, where there is none, from asking for what should be there."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from foundation.errors import NotThereError
from foundation.openpgp.frame import has_private_key
from foundation.stores.documents import json_of
from foundation.stores.store import Store, StoredObject, read_all
from job_creator.mirrors.contents import RUNS, is_carried

Digest = tuple[str, str]
"""The name of an algorithm of hashlib, and the hexadecimal digits that it should give."""

_GROUP: Final = 64


@dataclass
class View:
    """The objects of a mirror that are known to be there, by key.

    Where `is_listed`, these are all of them; otherwise, as behind a web server, the ones that somebody asked for.
    """

    store: Store
    objects: dict[str, StoredObject] = field(default_factory=dict)
    is_listed: bool = False
    waiting: frozenset[str] = frozenset()
    """The keys of what 'spackitor' has left in place until it can no longer be brought back."""

    def ask_for(self, keys: Iterable[str]) -> None:
        """Find out whether these are there, if that is not known yet."""
        if self.store.can_be_listed:
            return
        new = [key for key in dict.fromkeys(keys) if key and key not in self.objects]
        with ThreadPoolExecutor(self.store.workers) as pool:
            self.objects |= {one.key: one for one in pool.map(self.store.look, new) if one}

    def read(self, keys: Iterable[str]) -> dict[str, bytes]:
        """The content of those of these that are there."""
        # A link to a file is read as what it leads to: Spack does so.
        wanted = {key: self.target(key) for key in keys if key and (key in self.objects or not self.is_listed)}
        found = {key: content for key, content in read_all(self.store, dict.fromkeys(wanted.values())) if content}
        for key, content in found.items():
            self.objects.setdefault(key, StoredObject(key, len(content.data), 0.0, content.tag))
        return {key: found[target].data for key, target in wanted.items() if target in found}

    def target(self, key: str) -> str:
        """What a key stands for: itself, or what a link of this name leads to."""
        return self.objects[key].leads_to or key if key in self.objects else key


def look(store: Store) -> View:
    """What is in a mirror, without what is unfinished, and what 'spackitor' has removed and may still bring back."""
    if not store.can_be_listed:
        return View(store)
    found = {one.key: one for one in store.list("")}
    records = [key for key in found if key.startswith(RUNS)]
    left = (_left(content.data) for _, content in read_all(store, records) if content)
    carried = {key: one for key, one in found.items() if is_carried(key)}
    return View(store, carried, is_listed=True, waiting=frozenset().union(*left))


def _left(record: bytes) -> frozenset[str]:
    """What a run has left, by its record (`spackitor/inventory/quarantine.py`)."""
    try:
        return frozenset(map(str, json_of(record)["left"]))
    except (ValueError, KeyError, TypeError):
        return frozenset()


def look_into(store: Store, *folders: str) -> View:
    """What is in some folders of a mirror; of the rest, what is asked for."""
    if not store.can_be_listed:
        return View(store)
    return View(store, {one.key: one for folder in folders for one in store.list(folder)})


@dataclass(frozen=True, slots=True)
class Read:
    """What reading an object showed: the digits of its checksum (empty if it is gone), its size, and its kind."""

    key: str
    digest: str
    size: int
    """In bytes."""
    starts_like_gzip: bool
    has_private_key: bool


def read_through(store: Store, wanted: Mapping[str, Digest], jobs: int) -> Iterator[Read]:
    """Read objects to the end, several at once, in the order of their keys."""
    keys = sorted(wanted)
    with ThreadPoolExecutor(jobs) as pool:
        for start in range(0, len(keys), _GROUP):
            yield from pool.map(lambda key: _read(store, key, wanted[key][0]), keys[start : start + _GROUP])


def _read(store: Store, key: str, algorithm: str) -> Read:
    digest = hashlib.new(algorithm, usedforsecurity=False)
    size, first = 0, b""
    try:
        for block in store.stream(key):
            digest.update(block)
            first = first or block
            size += len(block)
    except NotThereError:
        return Read(key, "", 0, starts_like_gzip=False, has_private_key=False)
    return Read(key, digest.hexdigest(), size, first.startswith(b"\x1f\x8b"), has_private_key(first))
