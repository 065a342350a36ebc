"""Which specs of a mirror have no signature that counts: none at all, or none by the keys that somebody named.

Spack takes a package for up to date whoever signed it, and refuses to install it where signatures count and the key is
not trusted. So what is found here is in the way until it is removed, and built again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from foundation.errors import DamagedError, RefusedError
from foundation.openpgp.frame import message_fault
from foundation.openpgp.keys import State
from foundation.openpgp.ring import KeyRing, key_ring
from foundation.spack.releases import Layout
from foundation.stores.store import Store, in_groups
from spackitor.inventory.inventory import Entry, Inventory
from spackitor.survey.spec_files import spec_file_of
from spackitor.survey.survey import read_objects

UNSIGNED: Final = "is not signed"
_AT_ONCE: Final = 2000
"""Signed texts in memory, a few KiB each."""
_REASONS: Final = {State.NO_KEY: "is signed by a key that is not among those named"}


@dataclass(frozen=True, slots=True)
class Distrusted:
    """A copy of a spec whose signature does not count, and why; the reason goes after its name."""

    entry: Entry
    reason: str
    has_expired: bool = False
    """It is by one of the keys, which has expired: renewing the key mends it, and Spack only warns."""


def condemned(store: Store, inventory: Inventory, keys: bytes | None) -> dict[str, str]:
    """DAG hashes of usable specs that nobody signed and, with `keys`, that none of these signed; with the reason.

    Raises `RefusedError` if there are keys and none can be read, and `CouldNotAskError` if gpg cannot be asked.
    """
    if keys is None:
        return dict.fromkeys(sorted(inventory.unsigned), UNSIGNED)
    return {one.entry.hash: one.reason for one in distrusted(store, inventory, keys) if not one.has_expired}


def distrusted(store: Store, inventory: Inventory, keys: bytes) -> Iterator[Distrusted]:
    """All copies of usable specs that none of these keys signed. In registries, Spack signs nothing.

    Raises `RefusedError` if no key can be read, and `CouldNotAskError` if gpg cannot be asked.
    """
    with key_ring((keys,)) as ring:
        if not ring.keys_in(keys):
            raise RefusedError("there is no public key in the file that should hold some; nothing was changed")
        usable = [entry for entry in inventory.entries if entry.hash in inventory.usable]
        yield from (Distrusted(entry, UNSIGNED) for entry in usable if not entry.is_signed)
        for some in in_groups((entry for entry in usable if entry.is_signed), _AT_ONCE):
            yield from _distrusted(store, ring, some)


def _distrusted(store: Store, ring: KeyRing, entries: Iterable[Entry]) -> Iterator[Distrusted]:
    # Of layout v2, the spec file itself is signed; of layout v3, the manifest that says which spec file it is.
    signed = {entry.spec_object if entry.layout is Layout.V2 else entry.metadata[0]: entry for entry in entries}
    by_key = {one.key: entry for one, entry in signed.items()}
    read = {key: content.data for key, content in read_objects(store, signed) if content}
    faults = {key: fault for key, data in read.items() if (fault := message_fault(data))}
    yield from (Distrusted(by_key[key], fault) for key, fault in faults.items())
    good: list[Entry] = []
    for key, found in ring.verify({key: data for key, data in read.items() if key not in faults}).items():
        if found.state is State.GOOD:
            good.append(by_key[key])
        else:
            reason = _REASONS.get(found.state, found.state.value)
            yield Distrusted(by_key[key], reason, found.state is State.EXPIRED)
    yield from _signed_as_others(store, good)


def _signed_as_others(store: Store, entries: Iterable[Entry]) -> Iterator[Distrusted]:
    """What was signed as another spec, and was copied to the name of this one."""
    users: dict[str, list[Entry]] = {}
    for entry in entries:
        users.setdefault(entry.spec_file, []).append(entry)
    for key, content in read_objects(store, (some[0].spec_object for some in users.values())):
        if content is None:
            continue  # it has just been removed
        for entry in users[key]:
            if entry.layout is Layout.V3 and hashlib.sha256(content.data).hexdigest() != key.rpartition("/")[2]:
                yield Distrusted(entry, "leads to a spec file that has been changed")
                continue
            try:
                spec_file_of(content, entry.hash, key)
            except DamagedError as error:
                yield Distrusted(entry, f"is signed as something else: {error}")
