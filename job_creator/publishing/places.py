"""Where published files lie: a bucket, or a folder of a cluster. Each says what it has on record, and removes."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Sequence
from typing import Final, Protocol

from foundation.errors import CouldNotAskError
from foundation.stores.bucket import S3Store
from foundation.stores.store import StoredObject, look_at_all
from job_creator.publishing.record import PublicationRecord
from job_creator.publishing.retention import Placed, SifRemoval

MARKERS: Final = "installed"
PROOFS: Final = "signed"
"""The folder of signed records, each with its signature beside it."""
BILLS: Final = "sbom"
"""The folder of bills of materials, which have the names of their files, and a suffix."""
BILL_SUFFIXES: Final = (".cdx.json", ".spdx.json")
_DIGITS: Final = 12

logger = logging.getLogger(__name__)


class PublishingPlace(Protocol):
    """Somewhere that published files lie."""

    @property
    def name(self) -> str:
        """The place as the user wrote it."""

    def placed(self) -> tuple[Placed, ...]:
        """Every file there that has a record, and so was published by `jc`. Raises `CouldNotAskError`."""

    def possible(self, removals: Sequence[SifRemoval]) -> tuple[SifRemoval, ...]:
        """What of it can be done now."""

    def remove(self, removals: Sequence[SifRemoval]) -> int:
        """Remove files, unless they were replaced since they were listed; how many went."""


class BucketPlace:
    """The files under a prefix, and the markers that say which cluster has which of them."""

    def __init__(self, store: S3Store) -> None:
        self._store = store

    @property
    def name(self) -> str:
        """The URL of the prefix."""
        return self._store.url

    def placed(self) -> tuple[Placed, ...]:
        """Files and markers. Raises `CouldNotAskError`."""
        files = self._placed(self._store.list("", below=False))
        return files + self._placed(self._store.list(f"{MARKERS}/"), are_markers=True)

    def versions_of(self, container: str) -> tuple[Placed, ...]:
        """The files of one container. Raises `CouldNotAskError`."""
        found = self._placed(self._store.list(f"{container}__", below=False))
        return tuple(one for one in found if one.record.container == container)

    def possible(self, removals: Sequence[SifRemoval]) -> tuple[SifRemoval, ...]:
        """All of it: who downloads a file has it."""
        return tuple(removals)

    def remove(self, removals: Sequence[SifRemoval]) -> int:
        """Remove files with their signed records, and markers; how many of both went.

        Raises `CouldNotAskError`, also for what the server refuses.
        """
        planned = {self._key(one.placed): one.placed.record for one in removals}
        now = {found.key: record_of(found) for found in look_at_all(self._store, planned)}
        going = {key: record for key, record in planned.items() if now.get(key, record) == record}
        for key in sorted(planned.keys() - going.keys()):
            logger.info("%s/%s: stays, it was replaced meanwhile", self.name, key)
        files = [one.placed for one in removals if not one.placed.is_marker]
        proofs = [name for one in files for name in proof_names(one.record) if self._key(one) in going]
        bills = [name for one in files if self._key(one) in going for name in bill_names(one.record)]
        remove_objects(self._store, [*going, *proofs, *bills])
        return len(going)

    def _key(self, placed: Placed) -> str:
        return placed.place.removeprefix(f"{self.name}/")

    def _placed(self, listed: Iterable[StoredObject], *, are_markers: bool = False) -> tuple[Placed, ...]:
        objects = look_at_all(self._store, [one.key for one in listed])
        records = ((one, own_record(one)) for one in objects)
        return tuple(Placed(f"{self.name}/{one.key}", record, are_markers) for one, record in records if record)


def record_of(found: StoredObject) -> PublicationRecord | None:
    """The record that an object carries; `None` if `jc` did not publish it."""
    return PublicationRecord.from_metadata(found.metadata or {})


def own_record(found: StoredObject) -> PublicationRecord | None:
    """The record of an object that lies where its record says; what somebody copied to another name is not ours."""
    record = record_of(found)
    return record if record and found.key.rpartition("/")[2] == record.file_name else None


def proof_names(record: PublicationRecord) -> tuple[str, str]:
    """Where the signed record of a file lies, and its signature: their names follow from all that is on record.

    So a file that is published anew never shares them with the one before.
    """
    name = f"{PROOFS}/{record.file_name}.{hashlib.sha256(record.to_signed()).hexdigest()[:_DIGITS]}.json"
    return name, f"{name}.asc"


def bill_names(record: PublicationRecord) -> tuple[str, ...]:
    """Where the bills of materials of a file lie, in the order of `BILL_SUFFIXES`."""
    return tuple(f"{BILLS}/{record.file_name}{suffix}" for suffix in BILL_SUFFIXES)


def remove_objects(store: S3Store, keys: Sequence[str]) -> None:
    """Remove objects; those that are gone already are fine.

    Raises `CouldNotAskError` with all that the server refuses, when the others are gone.
    """
    if refused := store.delete(keys):
        named = "; ".join(f"{store.url}/{key}: {why}" for key, why in refused.items())
        raise CouldNotAskError(f"the server refuses to remove {len(refused)} of {len(keys)} objects: {named}")
