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

from foundation.doors.blocks import Progress
from foundation.errors import CouldNotAskError, DamagedError, RefusedError, naming
from foundation.stores.s3_client import S3Location
from foundation.stores.s3_parts import Uploaded
from job_creator.images.decisions import Action, compare_labels
from job_creator.publishing.places import BucketPlace
from job_creator.publishing.record import PublicationRecord, write_time
from job_creator.publishing.retention import Placed, SifRemoval, superseded
from job_creator.publishing.sif_bucket import Listed, PublicationBucket, Stored
from job_creator.site.places import Retention

UPLOADS: Final = ".uploading"
LEFT_OVER_AFTER: Final = timedelta(days=1)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PublishPlan:
    """What publishing a file does."""

    record: PublicationRecord
    place: S3Location
    action: Action
    """`BUILD` to upload, `REUSE` if it is published already."""
    reason: str
    removals: tuple[SifRemoval, ...]
    left_overs: tuple[Listed, ...]

    @property
    def uploads(self) -> bool:
        """Whether the file is sent."""
        return self.action is Action.BUILD


def make_plan(
    bucket: PublicationBucket, record: PublicationRecord, retention: Retention | None, now: datetime
) -> PublishPlan:
    """Ask what is published, and plan. Raises `CouldNotAskError`, and `RefusedError` if the place is someone else's."""
    place = bucket.root / record.file_name
    stored = bucket.look(place)
    action, reason = decide(record, stored)
    newest = Placed(str(place), record if action is Action.BUILD or not stored or not stored.record else stored.record)
    removals = (
        superseded(BucketPlace(bucket).versions_of(record.container), newest, retention, now) if retention else ()
    )
    left_overs = _left_overs(bucket, record.container, now - LEFT_OVER_AFTER)
    return PublishPlan(newest.record, place, action, reason, removals, left_overs)


def decide(record: PublicationRecord, stored: Stored | None) -> tuple[Action, str]:
    """Whether a file has to be uploaded, given what is stored under its name, and why. Raises `RefusedError`."""
    if stored is None:
        return Action.BUILD, "not published yet"
    if stored.record is None:
        raise RefusedError(
            f"{stored.place}: holds something that no record says where it is from, and would be replaced; move it away"
        )
    if stored.size != stored.record.size:
        return Action.BUILD, f"what is published has {stored.size} bytes, not {stored.record.size}"
    return compare_labels(record.identity, stored.record.identity)


def publish(
    bucket: PublicationBucket, plan: PublishPlan, path: Path, progress: Progress, now: datetime
) -> PublicationRecord:
    """Do what was planned, and return the record of what is published then.

    Raises `CouldNotAskError`, `FileAccessError` and `DamagedError`.
    """
    record = plan.record
    if plan.uploads:
        temporary = bucket.root / UPLOADS / f"{record.file_name}.{secrets.token_hex(8)}"
        sent = bucket.upload(path, temporary, progress)
        source = _verified(bucket, temporary, sent, path)
        record = replace(record, sha256=sent.sha256, size=sent.size, published=write_time(now))
        bucket.copy(source, plan.place, record)
        try:
            _verified(bucket, plan.place, sent, path)
        except DamagedError:
            # Nothing is better than something damaged that counts as published.
            bucket.remove([plan.place])
            raise
        bucket.remove([temporary])
        logger.info("%s: published, %d bytes with sha256 %s", plan.place, record.size, record.sha256)
    BucketPlace(bucket).remove(plan.removals)
    for left in plan.left_overs:
        if left.upload_id:
            bucket.give_up(left)
    bucket.remove([left.place for left in plan.left_overs if not left.upload_id])
    return record


def _left_overs(bucket: PublicationBucket, container: str, before: datetime) -> tuple[Listed, ...]:
    """What runs that ended half-way left: temporary objects, uploads, and copies of parts to a final key."""
    found = list(bucket.objects(f"{UPLOADS}/", below=True))
    try:
        found += (*bucket.unfinished_uploads(f"{UPLOADS}/"), *bucket.unfinished_uploads(f"{container}__"))
    except CouldNotAskError as error:
        # Some keys may not ask that, some servers do not know it; it is no reason not to publish.
        logger.warning("unfinished uploads stay: %s", error)
    return tuple(left for left in found if left.since < before)


def _verified(bucket: PublicationBucket, place: S3Location, sent: Uploaded, path: Path) -> Stored:
    """What is stored at a place, which has to be what was sent. Raises `DamagedError`."""
    stored = bucket.look(place)
    if stored is None:
        raise DamagedError(f"{place}: is not there right after it was written; run this again")
    if stored.size != sent.size:
        raise DamagedError(f"{place}: holds {stored.size} bytes of {sent.size}; run this again")
    if stored.etag == sent.etag or ("-" not in stored.etag and stored.etag == _md5_of(path)):
        return stored
    logger.info("%s: its ETag is no checksum, reading it back", place)
    if (found := bucket.sha256_of(stored)) != sent.sha256:
        raise DamagedError(f"{place}: has sha256 {found} after the upload, the file {sent.sha256}; run this again")
    return stored


def _md5_of(path: Path) -> str:
    """What Amazon makes the ETag of an object that was copied in one request."""
    with naming(path), path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
