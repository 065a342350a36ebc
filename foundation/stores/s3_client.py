"""The one door to S3: a way to make a client, to read URLs, and to tell "not there" from "could not ask".

No other module imports `boto3`, and none outside of this folder `botocore`.

Servers other than Amazon's leave out error messages (Ceph) and answer HEAD without a body, so that only the status and
the code of an error can be relied on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from foundation.errors import CouldNotAskError
from foundation.stores.schemes import BUCKET, bucket_url, kind_of, split_url

if TYPE_CHECKING:
    from botocore.exceptions import ClientError
    from mypy_boto3_s3 import S3Client

TIMEOUT_SECONDS: Final = (10.0, 60.0)
"""To connect, and between two bytes of an answer."""
MAX_ATTEMPTS: Final = 6
DEFAULT_REGION: Final = "us-east-1"
_PATH: Final = re.compile(r"(?P<bucket>[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9])(/(?P<key>.*))?", re.DOTALL)
_HINTS: Final = {
    "403": "are the keys those of this bucket, and may they list it? Without that, S3 says 403 for what is not there",
    "AccessDenied": "may these keys do this here?",
    "InvalidAccessKeyId": "the server does not know the access key",
    "SignatureDoesNotMatch": "the secret key does not belong to the access key",
    "NoSuchBucket": "there is no such bucket",
    "ExpiredToken": "the session has ended; get new keys",
}


@dataclass(frozen=True, slots=True)
class S3Location:
    """A bucket and a key, or the start of keys, in it (without slash at either end)."""

    bucket: str
    key: str = ""

    def __str__(self) -> str:
        """`s3://bucket/key`."""
        return bucket_url(self.bucket, self.key)

    def __truediv__(self, name: str) -> S3Location:
        """What is called `name` below this."""
        return S3Location(self.bucket, f"{self.key}/{name}".lstrip("/"))


def parse_s3_url(url: str) -> S3Location:
    """Read `s3://bucket[/key]`. Raises `ValueError`."""
    match = _PATH.fullmatch(split_url(url)[1])
    if kind_of(url) is not BUCKET or not match:
        raise ValueError(f"{url!r} is no S3 URL; write s3://bucket or s3://bucket/prefix")
    return S3Location(match["bucket"], (match["key"] or "").strip("/"))


def endpoint_of(environment: Mapping[str, str]) -> str | None:
    """The server that Spack's variable names; boto3 itself looks for `AWS_ENDPOINT_URL` and in its configuration."""
    if environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL"):
        return None
    return environment.get("S3_ENDPOINT_URL") or None


@dataclass(frozen=True, slots=True)
class S3Keys:
    """A pair of keys that is not where boto3 looks."""

    access_key_id: str = field(repr=False)
    secret_access_key: str = field(repr=False)


NO_KEYS: Final = S3Keys("", "")
"""For who reads without any, though the environment may have some."""


def s3_client(
    endpoint: str | None = None, *, workers: int = 10, anonymous: bool = False, keys: S3Keys | None = None
) -> S3Client:
    """A client with time-outs and adaptive retries, for `workers` threads.

    Unless `keys` are given, they come from where boto3 looks for them: environment, profile, role; so does the number
    of tries (`AWS_MAX_ATTEMPTS`), which is `MAX_ATTEMPTS` otherwise. `endpoint` names a server other than Amazon's.
    """
    import boto3
    from botocore import UNSIGNED
    from botocore.config import Config

    from foundation.stores.s3_listing import PageParsers

    if keys == NO_KEYS:
        keys, anonymous = None, True
    session = boto3.Session(keys.access_key_id, keys.secret_access_key) if keys else boto3.Session()
    core: Any = session._session  # the only way to what boto3 hides of botocore
    connect, read = TIMEOUT_SECONDS
    config = Config(
        connect_timeout=connect,
        read_timeout=read,
        max_pool_connections=workers,
        retries={"mode": "adaptive", "total_max_attempts": core.get_config_variable("max_attempts") or MAX_ATTEMPTS},
        # Checksums as trailers, the default since botocore 1.36, are unknown to older servers.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    if anonymous:
        config = config.merge(Config(signature_version=UNSIGNED))
    parsers = PageParsers()
    parsers.set_parser_defaults(timestamp_parser=_timestamp)
    core.register_component("response_parser_factory", parsers)
    region = session.region_name or DEFAULT_REGION
    client: S3Client = session.client("s3", endpoint_url=endpoint, region_name=region, config=config)
    return client


def _timestamp(text: str) -> datetime:
    """The time in an answer. botocore's own reader takes longer for a page of a listing than the server does."""
    from botocore.utils import parse_timestamp

    try:
        return datetime.fromisoformat(text)
    except (TypeError, ValueError):
        parsed: datetime = parse_timestamp(text)
        return parsed


def has_keys() -> bool:
    """Whether there are keys where boto3 looks for them."""
    import boto3

    return boto3.Session().get_credentials() is not None


@contextmanager
def asking(what: str) -> Iterator[None]:
    """Turns what boto3 raises into a `CouldNotAskError` that starts with `what`."""
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        raise CouldNotAskError(f"{what}: {reason(error)}") from None
    except (BotoCoreError, Boto3Error) as error:
        raise CouldNotAskError(f"{what}: {error}") from None
    except RecursionError:
        # botocore asks for the region of a bucket that moved, with a request that it asks the region of.
        raise CouldNotAskError(f"{what}: the server redirects, and does not say where to") from None


def require(answer: Mapping[str, Any], what: str, *fields: str) -> None:
    """Raises `CouldNotAskError` where an answer lacks a field: a web server has said "200 OK", and none of S3."""
    if missing := [field for field in fields if field not in answer]:
        raise CouldNotAskError(f"{what}: the answer is not that of an S3 server; it has no {' and no '.join(missing)}")


def is_missing(error: ClientError) -> bool:
    """Whether the answer was "there is no such object"; HEAD only gives the number."""
    return error.response["Error"].get("Code") in ("404", "NoSuchKey", "NotFound")


def reason(error: ClientError) -> str:
    """What the server said, and what to do about it."""
    answer = error.response["Error"]
    code = answer.get("Code", "no code")
    said = f"{code} ({answer['Message']})" if answer.get("Message") else code
    return f"S3 says {said}; {_HINTS[code]}" if code in _HINTS else f"S3 says {said}"
