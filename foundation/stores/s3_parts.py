"""Files of any size to S3, from S3 and within S3, in parts: several at once, few in memory.

The ETag of a multipart upload is the MD5 of the parts' MD5s, a hyphen and their number, at Amazon, Ceph and others
(not where the server encrypts with keys of its own). It says what the server holds without reading it back.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from foundation.doors.blocks import Progress
from foundation.errors import CouldNotAskError, FileAccessError, NotThereError, naming
from foundation.stores.s3_client import S3Location, asking, is_missing

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PART_SIZE: Final = 16 << 20
"""Bytes of a part, while the file has no more than `MAX_PARTS` of them."""
MAX_PARTS: Final = 10_000
"""Amazon S3 user guide, "Amazon S3 multipart upload limits"."""
COPY_LIMIT: Final = 5 << 30
"""Bytes that S3 copies in one request ("CopyObject", Amazon S3 API reference)."""
AT_ONCE: Final = 4
MOST_IN_MEMORY: Final = 64 << 20
"""Bytes of the parts that are under way; above 640 GB that is one part, which then grows with the file."""
READ_ATTEMPTS: Final = 5
"""How often a download is taken up again where it broke off."""
_BLOCK: Final = 1 << 20

T = TypeVar("T")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Uploaded:
    """What was sent: the file's size and sha256, the size of the parts, and the ETag that follows from them."""

    size: int
    sha256: str
    part_size: int
    """In bytes, as is `size`; of all parts but the last, which may be smaller."""
    etag: str
    md5: str = ""
    """Of the whole file, where somebody wanted it: what Amazon makes the ETag of an object copied in one request."""


@dataclass(frozen=True, slots=True)
class UnfinishedUpload:
    """A multipart upload that was neither completed nor given up, and when it was begun, in seconds since 1970."""

    place: S3Location
    since: float
    upload_id: str


@dataclass(frozen=True, slots=True)
class _Part:
    number: int
    etag: str
    """What the server says of it; it wants to hear that again at the end."""
    md5: bytes = b""


def part_size_of(size: int) -> int:
    """The bytes of each part of a file, all but the last."""
    return max(PART_SIZE, -(-size // MAX_PARTS))


def upload(client: S3Client, place: S3Location, path: Path, progress: Progress, *, with_md5: bool = False) -> Uploaded:
    """Send a file, reading it once. Raises `CouldNotAskError` and `FileAccessError`; then nothing is left behind.

    The MD5 of the whole file takes as long as all else that is computed, and is left out where nobody needs it.
    """
    with _reading(path) as stream, asking(str(place)), _multipart_upload(client, place, {}) as (upload_id, parts):
        size = os.fstat(stream.fileno()).st_size
        part_size = part_size_of(size)
        digest, whole = hashlib.sha256(), hashlib.md5(usedforsecurity=False)

        def sends() -> Iterator[Callable[[], _Part]]:
            for number, block in enumerate(iter(lambda: stream.read(part_size), b""), start=1):
                digest.update(block)
                if with_md5:
                    whole.update(block)
                yield partial(_send, client, place, upload_id, number, block, progress)

        parts += _few_at_once(sends(), max(1, min(AT_ONCE, MOST_IN_MEMORY // part_size)))
        if stream.tell() != size:
            raise FileAccessError(
                f"{path}: was {size} bytes long and is {stream.tell()} now; is it still being written?"
            )
    etag = f"{hashlib.md5(b''.join(part.md5 for part in parts), usedforsecurity=False).hexdigest()}-{len(parts)}"
    return Uploaded(size, digest.hexdigest(), part_size, etag, whole.hexdigest() if with_md5 else "")


def copy(
    client: S3Client, source: S3Location, etag: str, size: int, target: S3Location, metadata: Mapping[str, str]
) -> None:
    """Let the server copy what it has, as long as the ETag is the same; in the parts it was sent in, if it has to be.

    Raises `CouldNotAskError`.
    """
    if size > COPY_LIMIT:
        _copy_in_parts(client, source, etag, size, target, metadata)
        return
    with asking(str(target)):
        client.copy_object(
            Bucket=target.bucket,
            Key=target.key,
            CopySource={"Bucket": source.bucket, "Key": source.key},
            CopySourceIfMatch=etag,
            MetadataDirective="REPLACE",
            Metadata=metadata,
        )


def _copy_in_parts(
    client: S3Client, source: S3Location, etag: str, size: int, target: S3Location, metadata: Mapping[str, str]
) -> None:
    part_size = part_size_of(size)

    def copy_part(number: int) -> _Part:
        first = (number - 1) * part_size
        answer = client.upload_part_copy(
            Bucket=target.bucket,
            Key=target.key,
            UploadId=upload_id,
            PartNumber=number,
            CopySource={"Bucket": source.bucket, "Key": source.key},
            CopySourceIfMatch=etag,
            CopySourceRange=f"bytes={first}-{min(first + part_size, size) - 1}",
        )
        return _Part(number, answer["CopyPartResult"]["ETag"])

    with asking(str(target)), _multipart_upload(client, target, metadata) as (upload_id, parts):
        parts += _few_at_once((partial(copy_part, number) for number in range(1, -(-size // part_size) + 1)), AT_ONCE)


def download(client: S3Client, place: S3Location, etag: str, size: int, descriptor: int, progress: Progress) -> None:
    """Write an object into an open file. Raises what `read` does, and `OSError`."""

    def fetch(start: int) -> None:
        at = start
        for block in read(client, place, etag, start, min(start + PART_SIZE, size)):
            left = memoryview(block)
            while left:
                written = os.pwrite(descriptor, left, at)
                at, left = at + written, left[written:]
            progress(len(block))

    deque(_few_at_once((partial(fetch, start) for start in range(0, size, PART_SIZE)), AT_ONCE), maxlen=0)


def read(client: S3Client, place: S3Location, etag: str, start: int, end: int) -> Iterator[bytes]:
    """The bytes of an object from `start` up to `end`, in blocks; taken up again where a connection breaks.

    Raises `NotThereError` if the object vanished, and `CouldNotAskError`, also if it was replaced meanwhile.
    """
    attempts = READ_ATTEMPTS
    with asking(str(place)):
        while start < end:
            try:
                for block in _range(client, place, etag, start, end):
                    start += len(block)
                    yield block
            except BotoCoreError as error:
                attempts -= 1
                if not attempts:
                    raise
                logger.debug("%s: broke off at byte %d: %s", place, start, error)


def unfinished(client: S3Client, start: S3Location) -> tuple[UnfinishedUpload, ...]:
    """The multipart uploads to keys that start so. Raises `CouldNotAskError`."""
    with asking(str(start)):
        pages = client.get_paginator("list_multipart_uploads").paginate(Bucket=start.bucket, Prefix=start.key)
        found = [entry for page in pages for entry in page.get("Uploads", ())]
    return tuple(
        UnfinishedUpload(S3Location(start.bucket, one["Key"]), one["Initiated"].timestamp(), one["UploadId"])
        for one in found
        if one["Key"].startswith(start.key)  # not every server keeps to it
    )


def give_up(client: S3Client, upload: UnfinishedUpload) -> None:
    """Give up a multipart upload; one that is gone already is fine. Raises `CouldNotAskError`."""
    place = upload.place
    with asking(str(place)):
        try:
            client.abort_multipart_upload(Bucket=place.bucket, Key=place.key, UploadId=upload.upload_id)
        except ClientError as error:
            if error.response["Error"].get("Code") not in ("404", "NoSuchUpload"):
                raise


def _range(client: S3Client, place: S3Location, etag: str, start: int, end: int) -> Iterator[bytes]:
    try:
        answer = client.get_object(Bucket=place.bucket, Key=place.key, IfMatch=etag, Range=f"bytes={start}-{end - 1}")
    except ClientError as error:
        if is_missing(error):
            raise NotThereError(f"{place}: was removed while it was being read") from None
        if error.response["Error"].get("Code") in ("412", "PreconditionFailed"):
            raise CouldNotAskError(f"{place}: was replaced while it was being read; run this again") from None
        raise
    if answer["ContentLength"] != end - start:
        raise CouldNotAskError(f"{place}: asked for bytes {start} to {end}, the server sends {answer['ContentLength']}")
    with closing(answer["Body"]) as body:
        yield from body.iter_chunks(_BLOCK)


@contextmanager
def _multipart_upload(
    client: S3Client, place: S3Location, metadata: Mapping[str, str]
) -> Iterator[tuple[str, list[_Part]]]:
    """An upload and the parts it is to be completed with; it is given up if anything goes wrong before that."""
    begun = client.create_multipart_upload(Bucket=place.bucket, Key=place.key, Metadata=metadata)
    upload_id, parts = begun["UploadId"], list[_Part]()
    try:
        yield upload_id, parts
        client.complete_multipart_upload(
            Bucket=place.bucket,
            Key=place.key,
            UploadId=upload_id,
            MultipartUpload={"Parts": [{"PartNumber": part.number, "ETag": part.etag} for part in parts]},
        )
    except BaseException:
        with suppress(ClientError, BotoCoreError):
            client.abort_multipart_upload(Bucket=place.bucket, Key=place.key, UploadId=upload_id)
        raise


def _send(client: S3Client, place: S3Location, upload_id: str, number: int, block: bytes, progress: Progress) -> _Part:
    answer = client.upload_part(Bucket=place.bucket, Key=place.key, UploadId=upload_id, PartNumber=number, Body=block)
    progress(len(block))
    return _Part(number, answer["ETag"], hashlib.md5(block, usedforsecurity=False).digest())


def _few_at_once(tasks: Iterable[Callable[[], T]], width: int) -> Iterator[T]:
    """The results of tasks in their order, with never more than `width` of them under way."""
    under_way: deque[Future[T]] = deque()
    with ThreadPoolExecutor(width) as pool:
        for task in tasks:
            under_way.append(pool.submit(task))
            del task  # it may hold a part's bytes
            if len(under_way) == width:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()


@contextmanager
def _reading(path: Path) -> Iterator[BinaryIO]:
    with naming(path), path.open("rb") as stream:
        yield stream


def delete_singly(client: S3Client, bucket: str, keys: Iterable[str]) -> dict[str, str]:
    """Delete objects one by one; returns what was refused, with the server's word for the reason.

    Ceph refuses a whole batch to those whose policy names a part of the bucket.
    """
    from botocore.exceptions import ClientError

    failed: dict[str, str] = {}
    for key in keys:
        try:
            client.delete_object(Bucket=bucket, Key=key)
        except ClientError as error:
            failed[key] = error.response["Error"].get("Code") or "no reason given"
    return failed
