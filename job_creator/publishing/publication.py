"""From a SIF file to a published one: under a temporary name first, verified, then under its own.

A run may end between any two effects. The final key then holds the old file or the new one, whole; what else is left
under `.uploading/` goes with a publication a day later.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Final

from foundation.doors.blocks import Progress, sha256_of
from foundation.errors import CouldNotAskError, DamagedError, NotThereError, RefusedError
from foundation.stores.bucket import S3Store
from foundation.stores.s3_parts import COPY_LIMIT, UnfinishedUpload, Uploaded
from foundation.stores.store import StoredObject, look_at_all
from job_creator.images.decisions import Action, compare_labels
from job_creator.publishing.places import (
    BILLS,
    PROOFS,
    BucketPlace,
    bill_names,
    own_record,
    proof_names,
    record_of,
    remove_objects,
)
from job_creator.publishing.proofs import SitesKeys, verdict, write_proof
from job_creator.publishing.record import MADE_FROM, PublicationRecord, write_time
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
    """The keys of temporary objects of runs that ended half-way, and of signed records of files that are gone."""
    unfinished: tuple[UnfinishedUpload, ...]
    """What such runs had begun to send, or to copy in parts."""
    keeps_etags: bool = False
    """Whether this server is known to leave an object its ETag when it copies it."""

    @property
    def uploads(self) -> bool:
        """Whether the file is sent."""
        return self.action is Action.BUILD


def make_plan(
    store: S3Store,
    record: PublicationRecord,
    retention: Retention | None,
    now: datetime,
    signer: SitesKeys | None = None,
) -> PublishPlan:
    """Ask what is published, and plan; with a key pair what is published counts only if that proves it.

    Raises `CouldNotAskError`, and `RefusedError` if the place is someone else's, or the keys are no pair.
    """
    place = f"{store.url}/{record.file_name}"
    if signer:
        signer.require_pair()
    stored = store.look(record.file_name)
    published = record_of(stored) if stored else None
    if stored and not published:
        raise RefusedError(
            f"{place}: holds something that no record says where it is from, and would be replaced; move it away"
        )
    action, reason = decide(record, published, stored.size if stored else 0)
    if signer and stored and action is Action.REUSE and (fault := verdict(store, stored, signer.public).reason):
        action, reason = Action.BUILD, f"what is published {fault}"
    newest = Placed(place, published if published and action is Action.REUSE else record)
    removals = superseded(BucketPlace(store).versions_of(record.container), newest, retention, now) if retention else ()
    before = (now - LEFT_OVER_AFTER).timestamp()
    left_overs = [one.key for one in store.list(f"{UPLOADS}/") if one.modified < before]
    unfinished = tuple(one for one in _unfinished(store, record.container) if one.since < before)
    orphans = _orphans(store, record.container, before)
    keeps = action is Action.BUILD and _keeps_etags(store, record.container)
    return PublishPlan(newest.record, place, action, reason, removals, (*left_overs, *orphans), unfinished, keeps)


def _keeps_etags(store: S3Store, container: str) -> bool:
    """What is published was sent in parts and then copied: whether the ETag is that of parts still, as at Ceph."""
    copied = (one for one in store.list(f"{container}__", below=False) if one.size <= COPY_LIMIT)
    return any("-" in one.tag for one in copied)


def decide(record: PublicationRecord, published: PublicationRecord | None, size: int) -> tuple[Action, str]:
    """Whether a file has to be uploaded, and why, given the record and the size in bytes of what has its name."""
    if published is None:
        return Action.BUILD, "not published yet"
    if size != published.size:
        return Action.BUILD, f"what is published has {size} bytes, not {published.size}"
    return compare_labels(record.identity, published.identity)


def publish(
    store: S3Store,
    plan: PublishPlan,
    path: Path,
    progress: Progress,
    now: datetime,
    signer: SitesKeys | None = None,
    bills: Mapping[str, bytes] = MappingProxyType({}),
) -> PublicationRecord:
    """Do what was planned, and return the record of what is published then.

    `bills` are bills of materials by their suffixes, which are put beside the file. Raises `CouldNotAskError`,
    `FileAccessError` and `DamagedError`.
    """
    record = plan.record
    if plan.uploads:
        temporary = f"{UPLOADS}/{record.file_name}.{secrets.token_hex(8)}"
        sent = store.upload(path, temporary, progress, with_md5=not plan.keeps_etags)
        source = _verified(store, temporary, sent)
        for suffix, content in bills.items():
            store.write(f"{BILLS}/{record.file_name}{suffix}", content)
        record = replace(record, sha256=sent.sha256, size=sent.size, published=write_time(now))
        record = _name(store, replace(record, etags=_etags(source, sent)), source, sent, signer)
        remove_objects(store, [temporary, *_other_proofs(store, record)])
        logger.info("%s: published, %d bytes with sha256 %s", plan.place, record.size, record.sha256)
    _tidy(store, plan)
    return record


def _name(
    store: S3Store, record: PublicationRecord, source: StoredObject, sent: Uploaded, signer: SitesKeys | None
) -> PublicationRecord:
    """Give what was uploaded its name and its record, which is signed before; returns the record that it has then."""
    if signer:
        write_proof(store, record, signer)
    store.copy_with(source, record.file_name, record.to_metadata())
    try:
        stored = _verified(store, record.file_name, sent)
    except DamagedError:
        # Nothing is better than something damaged that counts as published.
        remove_objects(store, [record.file_name, *proof_names(record)])
        raise
    if not record.etags or _etags(stored, sent):
        return record
    # A server that encrypts copies, but not uploads, perhaps.
    return _name(store, replace(record, etags=""), source, sent, signer)


def _etags(stored: StoredObject, sent: Uploaded) -> str:
    """The ETags that tell the content apart; empty if this server has others."""
    known = [etag for etag in (sent.etag, sent.md5) if etag]
    return " ".join(known) if _bare(stored.tag) in known else ""


def publish_copy(
    store: S3Store, plan: PublishPlan, source: StoredObject, now: datetime, signer: SitesKeys | None = None
) -> PublicationRecord:
    """Do what was planned with a file that is published under another name: the server copies it.

    Raises `CouldNotAskError`, `DamagedError`, and `RefusedError` if it was made from something else.
    """
    place = f"{store.url}/{source.key}"
    found = same_record(place, plan, source)
    record = plan.record
    if plan.uploads:
        record = replace(record, sha256=found.sha256, size=found.size, etags=found.etags, published=write_time(now))
        etag, *others = found.etags.split() or [_bare(source.tag)]
        sent = Uploaded(found.size, found.sha256, found.size, etag, " ".join(others))
        _copy_bills(store, found, record)
        record = _name(store, record, source, sent, signer)
        remove_objects(store, _other_proofs(store, record))
        logger.info("%s: published, a copy of %s", plan.place, place)
    _tidy(store, plan)
    return record


def _copy_bills(store: S3Store, source: PublicationRecord, target: PublicationRecord) -> None:
    for one, other in zip(bill_names(source), bill_names(target), strict=True):
        if one != other and store.look(one):
            with suppress(NotThereError):
                store.copy(one, other)


def same_record(place: str, plan: PublishPlan, source: StoredObject) -> PublicationRecord:
    """The record of what is published at another place, which has to be made from the same as what is planned.

    Raises `DamagedError` where it has none, and `RefusedError`.
    """
    found = own_record(source)
    if found is None or not found.sha256 or found.size != source.size:
        raise DamagedError(f"{place}: has no record, or one of another file; publish it anew")
    if differ := [name for name in MADE_FROM if getattr(found, name) != getattr(plan.record, name)]:
        raise RefusedError(f"{place}: is no copy of {plan.place}; they differ in {', '.join(differ)}")
    return found


def _other_proofs(store: S3Store, record: PublicationRecord) -> list[str]:
    """The signed records of what had the name of a file before."""
    names = proof_names(record)
    return [one.key for one in store.list(f"{PROOFS}/{record.file_name}.") if one.key not in names]


def _tidy(store: S3Store, plan: PublishPlan) -> None:
    BucketPlace(store).remove(plan.removals)
    for upload in plan.unfinished:
        store.give_up(upload)
    remove_objects(store, plan.left_overs)


def stage(store: S3Store, record: PublicationRecord, path: Path, progress: Progress) -> tuple[str, str]:
    """Leave a file for the job that signs: the key that it has there for a day, and its sha256.

    Raises `CouldNotAskError`, `FileAccessError` and `DamagedError`.
    """
    key = f"{UPLOADS}/{record.file_name}.{secrets.token_hex(8)}"
    sent = store.upload(path, key, progress)
    _verified(store, key, sent)
    return key, sent.sha256


def _orphans(store: S3Store, container: str, before: float) -> list[str]:
    """Signed records of a container's files that are gone, or were published anew: a run ended in between."""
    old = [one.key for one in store.list(f"{PROOFS}/{container}__") if one.modified < before]
    files = {key.removeprefix(f"{PROOFS}/").partition(".sif.")[0] + ".sif" for key in old}
    records = (record_of(one) for one in look_at_all(store, sorted(files)))
    kept = {name for record in records if record for name in proof_names(record)}
    return [key for key in old if key not in kept]


def _unfinished(store: S3Store, container: str) -> tuple[UnfinishedUpload, ...]:
    """Multipart uploads to temporary keys, and copies in parts to final ones."""
    try:
        return store.unfinished_uploads(f"{UPLOADS}/") + store.unfinished_uploads(f"{container}__")
    except CouldNotAskError as error:
        # Some keys may not ask that, some servers do not know it; it is no reason not to publish.
        logger.warning("unfinished uploads stay: %s", error)
        return ()


def _verified(store: S3Store, key: str, sent: Uploaded) -> StoredObject:
    """What is stored under a key, which has to be what was sent. Raises `DamagedError`."""
    place, stored = f"{store.url}/{key}", store.look(key)
    if stored is None:
        raise DamagedError(f"{place}: is not there right after it was written; run this again")
    if stored.size != sent.size:
        raise DamagedError(f"{place}: holds {stored.size} bytes of {sent.size}; run this again")
    if _etags(stored, sent):
        return stored
    logger.info("%s: its ETag is no checksum, reading it back", place)
    if (found := sha256_of(store.blocks(stored))) != sent.sha256:
        raise DamagedError(f"{place}: has sha256 {found} after the upload, the file {sent.sha256}; run this again")
    return stored


def _bare(tag: str) -> str:
    return tag.strip('"')
