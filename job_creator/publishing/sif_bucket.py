"""The bucket that containers are published in: what it holds, and the few effects that publishing has on it.

Every effect is one that S3 makes whole or not at all, so that a publication can end between any two of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Final

from botocore.exceptions import ClientError

from foundation.doors.blocks import Progress
from foundation.errors import CouldNotAskError
from foundation.stores import s3_parts
from foundation.stores.s3_client import S3Location, asking, is_missing, s3_client
from foundation.stores.s3_parts import Uploaded
from job_creator.publishing.record import PublicationRecord

COPY_LIMIT: Final = 5 << 30
"""What S3 copies in one request ("CopyObject", Amazon S3 API reference)."""
QUESTIONS_AT_ONCE: Final = 16
DELETED_AT_ONCE: Final = 1000


@dataclass(frozen=True, slots=True)
class Stored:
    """An object as it was when it was asked for. `record` is `None` if `jc` did not publish it."""

    place: S3Location
    size: int
    """In bytes."""
    etag: str
    """Without quotes."""
    record: PublicationRecord | None


@dataclass(frozen=True, slots=True)
class Listed:
    """What a listing says of an object, or of a multipart upload that was neither completed nor given up."""

    place: S3Location
    since: datetime
    upload_id: str = ""


class PublicationBucket:
    """A place in a bucket. All methods raise `CouldNotAskError`, which names what it was about."""

    def __init__(self, root: S3Location, endpoint: str | None = None) -> None:
        self.root = root
        self._client = s3_client(endpoint, workers=QUESTIONS_AT_ONCE)

    def look(self, place: S3Location) -> Stored | None:
        """What is stored there; `None` if nothing is."""
        with asking(str(place)):
            try:
                answer = self._client.head_object(Bucket=place.bucket, Key=place.key)
            except ClientError as error:
                if is_missing(error):
                    return None
                raise
        record = PublicationRecord.from_metadata({name.lower(): text for name, text in answer["Metadata"].items()})
        return Stored(place, answer["ContentLength"], answer["ETag"].strip('"'), record)

    def look_at_all(self, places: Iterable[S3Location]) -> tuple[Stored, ...]:
        """What is stored at several places, without those where nothing is."""
        with ThreadPoolExecutor(QUESTIONS_AT_ONCE) as pool:
            return tuple(stored for stored in pool.map(self.look, places) if stored)

    def objects(self, start: str, *, below: bool = False) -> tuple[Listed, ...]:
        """The objects under the root whose names start so; those `below` a further slash only on demand."""
        first = f"{self.root.key}/{start}".lstrip("/")
        pages = self._client.get_paginator("list_objects_v2")
        with asking(f"{self.root}/{start}"):
            found = pages.paginate(Bucket=self.root.bucket, Prefix=first, Delimiter="" if below else "/")
            entries = [entry for page in found for entry in page.get("Contents", [])]
        return tuple(Listed(S3Location(self.root.bucket, one["Key"]), one["LastModified"]) for one in entries)

    def unfinished_uploads(self, start: str) -> tuple[Listed, ...]:
        """The multipart uploads under the root for names that start so."""
        first = f"{self.root.key}/{start}".lstrip("/")
        pages = self._client.get_paginator("list_multipart_uploads")
        with asking(f"{self.root}/{start}"):
            found = pages.paginate(Bucket=self.root.bucket, Prefix=first)
            entries = [entry for page in found for entry in page.get("Uploads", [])]
        return tuple(
            Listed(S3Location(self.root.bucket, one["Key"]), one["Initiated"], one["UploadId"])
            for one in entries
            if one["Key"].startswith(first)  # not every server keeps to it
        )

    def upload(self, path: Path, place: S3Location, progress: Progress) -> Uploaded:
        """Send a file. Raises `FileAccessError` as well."""
        return s3_parts.upload(self._client, place, path, progress)

    def copy(self, source: Stored, target: S3Location, record: PublicationRecord) -> None:
        """Copy an object, as long as it still is what it was, and record what the copy is."""
        metadata = record.to_metadata()
        if source.size > COPY_LIMIT:
            s3_parts.copy(self._client, source.place, source.etag, source.size, target, metadata)
            return
        with asking(str(target)):
            self._client.copy_object(
                Bucket=target.bucket,
                Key=target.key,
                CopySource={"Bucket": source.place.bucket, "Key": source.place.key},
                CopySourceIfMatch=source.etag,
                MetadataDirective="REPLACE",
                Metadata=metadata,
            )

    def mark(self, place: S3Location, record: PublicationRecord) -> None:
        """Write an object without content that carries a record."""
        with asking(str(place)):
            self._client.put_object(Bucket=place.bucket, Key=place.key, Body=b"", Metadata=record.to_metadata())

    def sha256_of(self, stored: Stored) -> str:
        """The sha256 of an object's content, read back."""
        digest = sha256()
        for block in s3_parts.read(self._client, stored.place, stored.etag, 0, stored.size):
            digest.update(block)
        return digest.hexdigest()

    def download(self, stored: Stored, descriptor: int, progress: Progress) -> None:
        """Write an object's content into an open file. Raises `NotThereError` and `OSError` as well."""
        s3_parts.download(self._client, stored.place, stored.etag, stored.size, descriptor, progress)

    def remove(self, places: Sequence[S3Location]) -> None:
        """Remove objects; those that are gone already are fine.

        Raises `CouldNotAskError` with all that the server refuses, when the others are gone.
        """
        refused = []
        for first in range(0, len(places), DELETED_AT_ONCE):
            keys = [place.key for place in places[first : first + DELETED_AT_ONCE]]
            with asking(f"cannot remove {S3Location(self.root.bucket, keys[0])} and {len(keys) - 1} others"):
                answer = self._client.delete_objects(
                    Bucket=self.root.bucket, Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True}
                )
            refused += answer.get("Errors", [])
        if refused:
            named = (
                f"{S3Location(self.root.bucket, one.get('Key', '?'))}: {one.get('Code', 'no code')}" for one in refused
            )
            message = f"the server refuses to remove {len(refused)} of {len(places)} objects"
            raise CouldNotAskError(f"{message}: {'; '.join(named)}")

    def give_up(self, upload: Listed) -> None:
        """Give up a multipart upload; one that is gone already is fine."""
        place = upload.place
        with asking(str(place)):
            try:
                self._client.abort_multipart_upload(Bucket=place.bucket, Key=place.key, UploadId=upload.upload_id)
            except ClientError as error:
                if error.response["Error"].get("Code") not in ("404", "NoSuchUpload"):
                    raise
