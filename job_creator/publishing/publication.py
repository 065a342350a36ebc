"""From a SIF file to a published one: under a temporary name first, verified, then under its own.

A run may end between any two effects. The final key then holds the old file or the new one, whole; what else is left
under `.uploading/` goes with a publication a day later.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from foundation.doors.blocks import Progress, sha256_of
from foundation.errors import CouldNotAskError, DamagedError, RefusedError, naming
from foundation.stores.bucket import S3Store
from foundation.stores.s3_parts import UnfinishedUpload, Uploaded
from foundation.stores.store import StoredObject
from job_creator.images.decisions import Action, compare_labels
from job_creator.publishing.places import BucketPlace, record_of, remove_objects
from job_creator.publishing.record import PublicationRecord, write_time
from job_creator.publishing.retention import Placed, SifRemoval, superseded
from job_creator.site.places import Retention

UPLOADS: Final = ".uploading"
LEFT_OVER_AFTER: Final = timedelta(days=1)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PublishPlan:
    """What publishing a file does."""

    record: PublicationRecord
    place: str
    """The URL of the published file."""
    action: Action
    """`BUILD` to upload, `REUSE` if it is published already."""
    reason: str
    removals: tuple[SifRemoval, ...]
    left_overs: tuple[str, ...]
    """The keys of temporary objects of runs that ended half-way."""
    unfinished: tuple[UnfinishedUpload, ...]
    """What such runs had begun to send, or to copy in parts."""

    @property
    def uploads(self) -> bool:
        """Whether the file is sent."""
        return self.action is Action.BUILD


def make_plan(store: S3Store, record: PublicationRecord, retention: Retention | None, now: datetime) -> PublishPlan:
    """Ask what is published, and plan. Raises `CouldNotAskError`, and `RefusedError` if the place is someone else's."""
    place = f"{store.url}/{record.file_name}"
    stored = store.look(record.file_name)
    published = record_of(stored) if stored else None
    if stored and not published:
        raise RefusedError(
            f"{place}: holds something that no record says where it is from, and would be replaced; move it away"
        )
    action, reason = decide(record, published, stored.size if stored else 0)
    newest = Placed(place, published if published and action is Action.REUSE else record)
    removals = superseded(BucketPlace(store).versions_of(record.container), newest, retention, now) if retention else ()
    before = (now - LEFT_OVER_AFTER).timestamp()
    left_overs = tuple(one.key for one in store.list(f"{UPLOADS}/") if one.modified < before)
    unfinished = tuple(one for one in _unfinished(store, record.container) if one.since < before)
    return PublishPlan(newest.record, place, action, reason, removals, left_overs, unfinished)


def decide(record: PublicationRecord, published: PublicationRecord | None, size: int) -> tuple[Action, str]:
    """Whether a file has to be uploaded, and why, given the record and the size in bytes of what has its name."""
    if published is None:
        return Action.BUILD, "not published yet"
    if size != published.size:
        return Action.BUILD, f"what is published has {size} bytes, not {published.size}"
    return compare_labels(record.identity, published.identity)


def publish(store: S3Store, plan: PublishPlan, path: Path, progress: Progress, now: datetime) -> PublicationRecord:
    """Do what was planned, and return the record of what is published then.

    Raises `CouldNotAskError`, `FileAccessError` and `DamagedError`.
    """
    record = plan.record
    if plan.uploads:
        temporary = f"{UPLOADS}/{record.file_name}.{secrets.token_hex(8)}"
        sent = store.upload(path, temporary, progress)
        source = _verified(store, temporary, sent, path)
        record = replace(record, sha256=sent.sha256, size=sent.size, published=write_time(now))
        store.copy_with(source, record.file_name, record.to_metadata())
        try:
            _verified(store, record.file_name, sent, path)
        except DamagedError:
            # Nothing is better than something damaged that counts as published.
            remove_objects(store, [record.file_name])
            raise
        remove_objects(store, [temporary])
        logger.info("%s: published, %d bytes with sha256 %s", plan.place, record.size, record.sha256)
    BucketPlace(store).remove(plan.removals)
    for upload in plan.unfinished:
        store.give_up(upload)
    remove_objects(store, plan.left_overs)
    return record


def _unfinished(store: S3Store, container: str) -> tuple[UnfinishedUpload, ...]:
    """Multipart uploads to temporary keys, and copies in parts to final ones."""
    try:
        return store.unfinished_uploads(f"{UPLOADS}/") + store.unfinished_uploads(f"{container}__")
    except CouldNotAskError as error:
        # Some keys may not ask that, some servers do not know it; it is no reason not to publish.
        logger.warning("unfinished uploads stay: %s", error)
        return ()


def _verified(store: S3Store, key: str, sent: Uploaded, path: Path) -> StoredObject:
    """What is stored under a key, which has to be what was sent. Raises `DamagedError`."""
    place, stored = f"{store.url}/{key}", store.look(key)
    if stored is None:
        raise DamagedError(f"{place}: is not there right after it was written; run this again")
    if stored.size != sent.size:
        raise DamagedError(f"{place}: holds {stored.size} bytes of {sent.size}; run this again")
    etag = stored.tag.strip('"')
    if etag == sent.etag or ("-" not in etag and etag == _md5_of(path)):
        return stored
    logger.info("%s: its ETag is no checksum, reading it back", place)
    if (found := sha256_of(store.blocks(stored))) != sent.sha256:
        raise DamagedError(f"{place}: has sha256 {found} after the upload, the file {sent.sha256}; run this again")
    return stored


def _md5_of(path: Path) -> str:
    """What Amazon makes the ETag of an object that was copied in one request."""
    with naming(path), path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
