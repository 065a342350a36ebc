"""Mirrors in a bucket, of Amazon or of anyone who speaks its protocol."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from foundation.doors.blocks import Progress
from foundation.errors import NotThereError, RefusedError
from foundation.stores import s3_parts
from foundation.stores.s3_client import S3Keys, S3Location, asking, has_keys, is_missing, reason, require, s3_client
from foundation.stores.s3_parts import UnfinishedUpload, Uploaded
from foundation.stores.store import ANYTHING, SPACKITOR_FOLDER, ChangedError, Content, StoredObject, in_groups

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import ObjectIdentifierTypeDef, PaginatorConfigTypeDef

KEYS_PER_REQUEST: Final = 1000
"""What S3 lists at once, and accepts in one DeleteObjects; more is an error."""
_WORKERS: Final = 16
_BLOCK: Final = 1 << 20
_DELETE_ATTEMPTS: Final = 4
_FIRST_PAUSE_SECONDS: Final = 0.1
_PASSING: Final = {
    "500",
    "503",
    "InternalError",
    "OperationAborted",
    "RequestTimeout",
    "ServiceUnavailable",
    "SlowDown",
}
"""Reasons for which a key of a batch that could not be deleted is worth another try."""
_CHANGED: Final = {"PreconditionFailed", "412", "ConditionalRequestConflict", "409"}
_UNKNOWN: Final = {"NotImplemented", "501"}
_KINDS: Final = {
    "ListObjectsV2": "LIST",
    "GetObject": "GET",
    "HeadObject": "HEAD",
    "PutObject": "PUT",
    "CopyObject": "COPY",
    "DeleteObjects": "DELETE",
    "DeleteObject": "DELETE",
    "GetBucketVersioning": "GET",
}


class S3Store:
    """A mirror in a bucket, below a prefix. Without credentials it is asked anonymously, which is enough to read.

    Unless `keys` are given, they are those that boto3 finds. `keys_per_request` keys at most are listed or deleted at
    once. Beyond what every store does, files of any size come and go in parts, and objects carry metadata.
    """

    workers = _WORKERS
    can_be_listed = True

    def __init__(
        self,
        location: S3Location,
        endpoint: str | None = None,
        keys_per_request: int = KEYS_PER_REQUEST,
        keys: S3Keys | None = None,
    ) -> None:
        self._keys_per_request = keys_per_request
        self._pages: PaginatorConfigTypeDef = {"PageSize": keys_per_request}
        self._bucket = location.bucket
        self._prefix = f"{location.key}/" if location.key else ""
        self.url = str(location)
        self.requests: Counter[str] = Counter()
        self._lock = Lock()
        self._ahead = 0.0
        from foundation.stores.s3_direct import DirectRequests

        with asking(self.url):
            anonymous = keys is None and not has_keys()
            self._client = s3_client(endpoint, workers=_WORKERS, anonymous=anonymous, keys=keys)
        self._client.meta.events.register("before-send.s3", self._count)
        self._direct = DirectRequests(self._client, self._bucket, self._count)

    def now(self) -> float:
        """The time of the server, as its latest answer to `folders` said."""
        return time.time() + self._ahead

    def folders(self) -> tuple[str, ...]:
        """The names before the first slash. Raises `NotThereError` if there is no such bucket."""
        from botocore.exceptions import ClientError

        found: list[str] = []
        with asking(self.url):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._prefix, Delimiter="/", PaginationConfig=self._pages
            )
            try:
                for page in pages:
                    require(page, self.url, "IsTruncated")
                    self._look_at_clock(page["ResponseMetadata"]["HTTPHeaders"].get("date"))
                    found += [one["Prefix"] for one in page.get("CommonPrefixes", ())]
            except ClientError as error:
                if error.response["Error"].get("Code") == "NoSuchBucket":
                    raise NotThereError(f"{self.url}: there is no such bucket") from None
                raise
        return tuple(name.removeprefix(self._prefix).rstrip("/") for name in found)

    def list(self, prefix: str, *, below: bool = True) -> Iterator[StoredObject]:
        """All objects whose keys start with a prefix; those `below` a further slash can be left out."""
        with asking(f"{self.url}/{prefix}"):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket,
                Prefix=self._prefix + prefix,
                Delimiter="" if below else "/",
                PaginationConfig=self._pages,
            )
            for page in pages:
                # Without it a page of a web server would be an empty bucket.
                require(page, f"{self.url}/{prefix}", "IsTruncated")
                for one in page.get("Contents", ()):
                    key = one["Key"].removeprefix(self._prefix)
                    yield StoredObject(key, one["Size"], one["LastModified"].timestamp(), one["ETag"])

    def look(self, key: str) -> StoredObject | None:
        """What the server says of an object; `None` if there is none."""
        from botocore.exceptions import ClientError

        with asking(f"{self.url}/{key}"):
            try:
                answer = self._client.head_object(Bucket=self._bucket, Key=self._prefix + key)
            except ClientError as error:
                if is_missing(error):
                    return None
                raise
        require(answer, f"{self.url}/{key}", "ContentLength", "ETag", "LastModified")
        size, modified = answer["ContentLength"], answer["LastModified"].timestamp()
        metadata = {name.lower(): text for name, text in answer["Metadata"].items()}
        return StoredObject(key, size, modified, answer["ETag"], metadata=metadata)

    def read(self, key: str) -> Content | None:
        """The content of an object; `None` if there is none."""
        from botocore.exceptions import ClientError

        if content := self._direct.read(self._prefix + key):
            return content
        with asking(f"{self.url}/{key}"):
            try:
                answer = self._client.get_object(Bucket=self._bucket, Key=self._prefix + key)
                require(answer, f"{self.url}/{key}", "ETag")
                return Content(answer["Body"].read(), answer["ETag"])
            except ClientError as error:
                if is_missing(error):
                    return None
                raise

    def stream(self, key: str) -> Iterator[bytes]:
        """The content of an object in pieces. Raises `NotThereError` and `CouldNotAskError`."""
        from botocore.exceptions import ClientError

        with asking(f"{self.url}/{key}"):
            try:
                answer = self._client.get_object(Bucket=self._bucket, Key=self._prefix + key)
            except ClientError as error:
                if is_missing(error):
                    raise NotThereError(f"{self.url}/{key}: no such object") from None
                raise
            yield from answer["Body"].iter_chunks(_BLOCK)

    def blocks(self, found: StoredObject) -> Iterator[bytes]:
        """The content that an object had when it was looked at, taken up again where a connection breaks.

        Raises `NotThereError` if it vanished, and `CouldNotAskError`, also if it was replaced.
        """
        return s3_parts.read(self._client, self._at(found.key), _bare(found.tag), 0, found.size)

    def download(self, found: StoredObject, descriptor: int, progress: Progress) -> None:
        """Write that content into an open file, several parts at once. Raises what `blocks` does, and `OSError`."""
        place = self._at(found.key)
        s3_parts.download(self._client, place, _bare(found.tag), found.size, descriptor, progress)

    def require_writable(self, keys: Iterable[str]) -> None:
        """Write an object and delete it again. Raises `RefusedError` if these credentials may not do both."""
        from botocore.exceptions import ClientError

        del keys
        probe = f"{SPACKITOR_FOLDER}probe-{uuid4().hex}"
        with asking(f"{self.url}/{probe}"):
            try:
                self._client.put_object(Bucket=self._bucket, Key=self._prefix + probe, Body=b"")
            except ClientError as error:
                if error.response["ResponseMetadata"].get("HTTPStatusCode") not in (401, 403):
                    raise
                raise RefusedError(
                    f"{self.url}: may not be written ({reason(error)}), so nothing is changed at all"
                ) from None
        if failed := self.delete([probe]):
            raise RefusedError(
                f"{self.url}: objects may be written but not deleted ({failed[probe]}), so nothing is changed at all"
            )

    def write(self, key: str, data: bytes, *, replaces: str | None = ANYTHING, no_cache: bool = False) -> str:
        """Write an object, with a conditional request where the server knows them.

        Raises `ChangedError` if the object is not the one that is to be replaced.
        """
        from botocore.exceptions import ClientError

        arguments: dict[str, Any] = {"Bucket": self._bucket, "Key": self._prefix + key, "Body": data}
        if no_cache:
            arguments["CacheControl"] = "no-cache"
        if key.endswith(".json"):
            arguments["ContentType"] = "application/json"
        with asking(f"{self.url}/{key}"):
            if replaces == ANYTHING:
                return self._client.put_object(**arguments)["ETag"]
            # Some servers ignore conditions without a word.
            found = self.look(key)
            if (found.tag if found else None) != replaces:
                raise ChangedError(key)
            for condition in _conditions(replaces):
                try:
                    return self._client.put_object(**arguments, **condition)["ETag"]
                except ClientError as error:
                    code = error.response["Error"].get("Code", "")
                    if code not in _CHANGED | _UNKNOWN:
                        raise
                    if code in _UNKNOWN:
                        return self._client.put_object(**arguments)["ETag"]
        raise ChangedError(key)

    def mark(self, key: str, metadata: Mapping[str, str]) -> None:
        """Write an object without content that carries metadata. Raises `CouldNotAskError`."""
        with asking(f"{self.url}/{key}"):
            self._client.put_object(Bucket=self._bucket, Key=self._prefix + key, Body=b"", Metadata=metadata)

    def upload(self, path: Path, key: str, progress: Progress, *, with_md5: bool = False) -> Uploaded:
        """Send a file of any size; the object appears whole or not at all. The MD5 of all of it costs as much again.

        Raises `CouldNotAskError` and `FileAccessError`.
        """
        return s3_parts.upload(self._client, self._at(key), path, progress, with_md5=with_md5)

    def unfinished_uploads(self, prefix: str) -> tuple[UnfinishedUpload, ...]:
        """What others began to send to keys that start with a prefix. Raises `CouldNotAskError`."""
        return s3_parts.unfinished(self._client, self._at(prefix))

    def give_up(self, upload: UnfinishedUpload) -> None:
        """Give up such an upload; one that is gone already is fine. Raises `CouldNotAskError`."""
        s3_parts.give_up(self._client, upload)

    def copy(self, source: str, target: str, *, as_new: bool = False) -> None:
        """Copy an object on the server, which dates every copy anew. Raises `NotThereError`."""
        from botocore.exceptions import ClientError

        del as_new
        if self._direct.copy(self._prefix + source, self._prefix + target):
            return
        with asking(f"{self.url}/{source}"):
            try:
                self._client.copy_object(
                    Bucket=self._bucket,
                    Key=self._prefix + target,
                    CopySource={"Bucket": self._bucket, "Key": self._prefix + source},
                )
            except ClientError as error:
                if is_missing(error):
                    raise NotThereError(f"{self.url}/{source}: no such object") from None
                raise

    def copy_with(self, source: StoredObject, target: str, metadata: Mapping[str, str]) -> None:
        """Copy an object, as long as it still is what it was, and give the copy other metadata.

        Raises `CouldNotAskError`.
        """
        etag = _bare(source.tag)
        s3_parts.copy(self._client, self._at(source.key), etag, source.size, self._at(target), metadata)

    def delete(self, keys: Iterable[str]) -> Mapping[str, str]:
        """Delete objects, many with each request; what failed for a passing reason is tried again."""
        failed: dict[str, str] = {}
        for group in in_groups(keys, self._keys_per_request):
            failed.update(self._delete(group))
        return failed

    def keeps_versions(self) -> bool:
        """Whether the bucket is versioned; who may not ask is not told."""
        from botocore.exceptions import ClientError

        with asking(self.url), suppress(ClientError):
            return self._client.get_bucket_versioning(Bucket=self._bucket).get("Status") == "Enabled"
        return False

    def _delete(self, keys: Iterable[str]) -> dict[str, str]:
        final: dict[str, str] = {}
        left = dict.fromkeys(keys, "")
        for attempt in range(_DELETE_ATTEMPTS):
            if attempt:
                time.sleep(_FIRST_PAUSE_SECONDS * 2**attempt)
            failed = self._delete_once(left)
            final |= {key: code for key, code in failed.items() if code not in _PASSING}
            left = {key: code for key, code in failed.items() if code in _PASSING}
            if not left:
                break
        return final | left

    def _delete_once(self, keys: Iterable[str]) -> dict[str, str]:
        from botocore.exceptions import ClientError

        listed: list[ObjectIdentifierTypeDef] = [{"Key": self._prefix + key} for key in keys]
        with asking(self.url):
            try:
                answer = self._client.delete_objects(Bucket=self._bucket, Delete={"Objects": listed, "Quiet": True})
            except ClientError as error:
                if error.response["Error"].get("Code") != "AccessDenied":
                    raise
                refused = s3_parts.delete_singly(self._client, self._bucket, [one["Key"] for one in listed])
                return {key.removeprefix(self._prefix): code for key, code in refused.items()}
        return {
            one["Key"].removeprefix(self._prefix): one.get("Code") or one.get("Message") or "no reason given"
            for one in answer.get("Errors", ())
            if one.get("Code") != "NoSuchKey"
        }

    def _at(self, key: str) -> S3Location:
        return S3Location(self._bucket, self._prefix + key)

    def _count(self, event_name: str, **_: object) -> None:
        operation = event_name.rpartition(".")[2]
        with self._lock:
            self.requests[_KINDS.get(operation, operation)] += 1

    def _look_at_clock(self, date: str | None) -> None:
        if date:
            self._ahead = parsedate_to_datetime(date).timestamp() - time.time()


def _bare(tag: str) -> str:
    """An ETag without the quotes that belong to it: Ceph never finds one with them."""
    return tag.strip('"')


def _conditions(tag: str | None) -> tuple[dict[str, Any], ...]:
    """The conditions under which this tag is replaced; one of them holds where it should."""
    if tag is None:
        return ({"IfNoneMatch": "*"},)
    return ({"IfMatch": tag}, {"IfMatch": _bare(tag)})
