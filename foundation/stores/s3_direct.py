"""Small objects read and copied straight over the connections of a client.

For each request of a client, botocore resolves endpoints, validates, signs, parses and counts, which takes longer than
asking; where manifests are asked for by the thousand, the time goes into that. Here a request is only signed and sent.
Whatever is not the plain answer to it, errors, redirects and half an answer, is `None`: then the client itself is to
ask, which knows how to try again and what to say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, cast

from botocore import UNSIGNED
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError, HTTPClientError
from botocore.utils import percent_encode

from foundation.stores.store import Content

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_LISTING: Final = "ListObjectsV2"


class DirectRequests:
    """Requests about the objects of one bucket, by several threads, to where the client has listed it before.

    Each is told to `count`, by the name that it has in S3.
    """

    def __init__(self, client: S3Client, bucket: str, count: Callable[[str], None]) -> None:
        self._bucket, self._count = bucket, count
        self._client = cast("Any", client)  # what lies behind it has no types
        self._root = ""
        self._lock = Lock()
        self._credentials = self._client._request_signer._credentials
        version = self._client.meta.config.signature_version
        self._is_signed = version == "s3v4" and self._credentials is not None
        self._is_anonymous = version is UNSIGNED
        self._client.meta.events.register(f"before-send.s3.{_LISTING}", self._learn)

    def read(self, key: str) -> Content | None:
        """The content of an object; `None` if there is no telling."""
        answer = self._answer("GetObject", "GET", key, {})
        if answer is None or "ETag" not in answer.headers:
            return None
        data = answer.content
        if answer.headers.get("Content-Length") != str(len(data)) or "Content-Encoding" in answer.headers:
            return None
        return Content(data, answer.headers["ETag"])

    def copy(self, source: str, target: str) -> bool:
        """Copy an object; whether it is certain that this was done."""
        place = percent_encode(f"{self._bucket}/{source}", safe="/~")
        answer = self._answer("CopyObject", "PUT", target, {"x-amz-copy-source": place})
        # Servers begin to answer before they are done: an error may follow after "200 OK".
        return answer is not None and b"<CopyObjectResult" in answer.content and b"ETag" in answer.content

    def _answer(self, operation: str, method: str, key: str, headers: Mapping[str, str]) -> Any:
        if not self._root or not (self._is_signed or self._is_anonymous):
            return None
        url = f"{self._root}/{percent_encode(key, safe='/~')}"
        request = AWSRequest(method, url, headers={"User-Agent": "spacktainers", **headers})
        try:
            if self._is_signed:
                frozen = self._credentials.get_frozen_credentials()
                S3SigV4Auth(frozen, "s3", self._client.meta.region_name).add_auth(request)
            self._count(operation)
            answer = self._client._endpoint.http_session.send(request.prepare())
        except (BotoCoreError, HTTPClientError):
            return None
        return answer if answer.status_code == 200 else None

    def _learn(self, request: Any, **_: object) -> None:
        """Where the bucket is, by a host or a path of its own, stands in the URL of a listing."""
        with self._lock:
            self._root = request.url.partition("?")[0].rstrip("/")
