"""What the buckets hold of the SIF files of a run: that which it publishes to, and for branches the default branch's.

boto3 is imported when a bucket is asked, so that plans without a network need none.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from job_creator.containers.identity import Container
from job_creator.engines.gitlab.container_questions import Publications, WantedContainers, keys
from job_creator.provenance.signing import public_key
from job_creator.publishing.record import OtherFile, PublicationRecord
from job_creator.site.places import ContainersBucket, SifBucket

if TYPE_CHECKING:
    from foundation.stores.bucket import S3Store
    from foundation.stores.s3_client import S3Keys

logger = logging.getLogger(__name__)


def ask_buckets(wanted: WantedContainers, environment: Mapping[str, str]) -> Publications:
    """What is published of these containers, and what of other branches may be the same.

    Raises `CouldNotAskError` and `FileAccessError`.
    """
    if wanted.bucket is None:
        return Publications({})
    from foundation.stores.store import look_at_all
    from job_creator.publishing.places import MARKERS, record_of
    from job_creator.publishing.proofs import verdicts

    trusted = public_key(wanted.place.site.signing, environment)
    own = _Asked(wanted.bucket, _store(wanted.bucket), trusted)
    found = look_at_all(own.store, keys(wanted))
    records = {one.key: record_of(one) for one in found}
    files = [one for one in found if not one.key.startswith(f"{MARKERS}/")]
    proofs = verdicts(own.store, files, trusted)
    # Whose file is there, but is another one, may find its like among those of other branches.
    missing = [one.name for one in wanted.containers if not _has_file(one, records)]
    places = [own, *_released(wanted, environment, trusted)] if missing else []
    return Publications(records, proofs=proofs, others=[one for place in places for one in place.files_of(missing)])


@dataclass(frozen=True, slots=True)
class _Asked:
    """A bucket in which there may be files, and whose signatures count there."""

    bucket: SifBucket
    store: S3Store
    trusted: bytes | None

    def files_of(self, containers: Sequence[str]) -> Iterator[OtherFile]:
        """All files of some containers, whatever branch they are of."""
        from foundation.stores.store import look_at_all
        from job_creator.publishing.places import own_record
        from job_creator.publishing.proofs import verdicts

        listed = [found.key for name in containers for found in self.store.list(f"{name}__", below=False)]
        files = {one.key: (one, record) for one in look_at_all(self.store, listed) if (record := own_record(one))}
        proofs = verdicts(self.store, (one for one, _ in files.values()), self.trusted)
        for key, (_, record) in files.items():
            yield OtherFile(record, proofs[key], self.bucket)


def _released(wanted: WantedContainers, environment: Mapping[str, str], trusted: bytes | None) -> Iterator[_Asked]:
    """The place of the default branch, for branches that have the keys to read it."""
    bucket = wanted.released
    if bucket is None:
        return
    given = _reading_keys(bucket, environment)
    if given is None:
        logger.warning("%s: not looked into for files that are the same; its reader's keys are not set", bucket.url)
        return
    yield _Asked(bucket, _store(bucket, given), trusted)


def _reading_keys(bucket: ContainersBucket, environment: Mapping[str, str]) -> S3Keys | None:
    from foundation.stores.s3_client import S3Keys

    pair = [environment.get(name, "") for name in (bucket.reader.names if bucket.reader else ())]
    return S3Keys(*pair) if pair and all(pair) else None


def _store(bucket: SifBucket, given: S3Keys | None = None) -> S3Store:
    from foundation.stores.bucket import S3Store
    from foundation.stores.s3_client import S3Location

    return S3Store(S3Location(bucket.bucket, bucket.prefix), bucket.endpoint, keys=given)


def _has_file(container: Container, records: Mapping[str, PublicationRecord | None]) -> bool:
    record = records.get(container.record.file_name)
    return record is not None and record.container_checksum == container.record.container_checksum
