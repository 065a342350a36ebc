"""What may be done in a bucket, and what becomes of its objects by themselves; asked without changing anything.

Sources: Amazon S3 API reference, `CreateMultipartUpload` (needs the right of `PutObject`; nothing can be seen of it
once it is aborted), `GetBucketVersioning`, `GetBucketLifecycleConfiguration`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from foundation.stores.s3_client import S3Keys, S3Location, asking, reason, require, s3_client

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

_REFUSED: Final = (401, 403)
_NO_RULES: Final = ("NoSuchLifecycleConfiguration", "404")
_UNKNOWN: Final = ("NotImplemented", "MethodNotAllowed", "501")


@dataclass(frozen=True, slots=True)
class ExpiryRule:
    """A rule by which a server removes objects by itself: what their keys start with, and after how many days."""

    prefix: str
    days: int | None
    """`None` for a fixed date."""
    only_old_versions: bool
    """Whether it concerns only what was replaced or deleted before."""


class BucketRights:
    """A bucket, or a part of it, with one pair of keys; without `keys` it is asked anonymously.

    All methods raise `CouldNotAskError` where no usable answer comes.
    """

    def __init__(self, location: S3Location, endpoint: str | None, keys: S3Keys | None) -> None:
        self._location = location
        with asking(str(location)):
            self._client = s3_client(endpoint, anonymous=keys is None, keys=keys)

    def why_not_listed(self) -> str:
        """Why its objects cannot be listed; empty if they can."""
        from botocore.exceptions import ClientError

        with asking(str(self._location)):
            try:
                page = self._client.list_objects_v2(Bucket=self._location.bucket, Prefix=self._prefix, MaxKeys=1)
            except ClientError as error:
                if _status(error) not in _REFUSED:
                    raise
                return reason(error)
        require(page, str(self._location), "IsTruncated")
        return ""

    def why_not_written(self) -> str:
        """Why nothing can be written there; empty if something can. An upload is begun, and given up."""
        from botocore.exceptions import ClientError

        bucket, key = self._location.bucket, f"{self._prefix}probe-{uuid4().hex}"
        with asking(str(self._location)):
            try:
                begun = self._client.create_multipart_upload(Bucket=bucket, Key=key)
            except ClientError as error:
                if _status(error) not in _REFUSED:
                    raise
                return reason(error)
            require(begun, str(self._location), "UploadId")
            self._client.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=begun["UploadId"])
        return ""

    def keeps_versions(self) -> bool | None:
        """Whether what is deleted goes on to take space as an old version; `None` if these keys may not ask."""
        answer = self._setting("get_bucket_versioning", ())
        return None if answer is None else answer.get("Status") == "Enabled"

    def expiry_rules(self) -> tuple[ExpiryRule, ...] | None:
        """The enabled rules that remove objects that may be of this part; `None` if these keys may not ask."""
        answer = self._setting("get_bucket_lifecycle_configuration", _NO_RULES)
        if answer is None:
            return None
        rules = (rule for rule in answer.get("Rules", ()) if rule.get("Status") == "Enabled")
        found = (one for rule in rules for one in _expiries(rule))
        own = self._prefix
        return tuple(rule for rule in found if own.startswith(rule.prefix) or rule.prefix.startswith(own))

    @property
    def _prefix(self) -> str:
        return f"{self._location.key}/" if self._location.key else ""

    def _setting(self, method: str, nothing: tuple[str, ...]) -> dict[str, Any] | None:
        """A setting of the bucket: empty where there is none, or the server knows none of the kind."""
        from botocore.exceptions import ClientError

        with asking(str(self._location)):
            try:
                answer: dict[str, Any] = getattr(self._client, method)(Bucket=self._location.bucket)
            except ClientError as error:
                if _status(error) in _REFUSED:
                    return None
                if error.response["Error"].get("Code") in (*nothing, *_UNKNOWN):
                    return {}
                raise
        return answer


def _status(error: ClientError) -> int:
    return int(error.response["ResponseMetadata"].get("HTTPStatusCode", 0))


def _expiries(rule: dict[str, Any]) -> list[ExpiryRule]:
    """What a rule removes. Its filter is the older `Prefix`, or `Filter` with a prefix, alone or among others."""
    chosen = rule.get("Filter", {})
    prefix = rule.get("Prefix") or chosen.get("Prefix") or chosen.get("And", {}).get("Prefix") or ""
    found = []
    expiry = rule.get("Expiration", {})
    if "Days" in expiry or "Date" in expiry:
        found.append(ExpiryRule(prefix, expiry.get("Days"), only_old_versions=False))
    if old := rule.get("NoncurrentVersionExpiration"):
        found.append(ExpiryRule(prefix, old.get("NoncurrentDays"), only_old_versions=True))
    return found
