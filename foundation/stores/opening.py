"""Where mirrors are kept. Each module is one implementation of `foundation.stores.store.Store`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from foundation.stores.store import Store


def open_store(mirror: str, endpoint: str | None, environment: Mapping[str, str]) -> Store:
    """The store of a mirror: `s3://bucket/prefix`, `https://…`, `file:///folder` or a folder. Raises `ValueError`."""
    from foundation.stores.folder import FileSystemStore
    from foundation.stores.s3_client import endpoint_of, parse_s3_url

    if mirror.startswith("s3://"):
        from foundation.stores.bucket import S3Store

        return S3Store(parse_s3_url(mirror), endpoint or endpoint_of(environment))
    if mirror.startswith("file://"):
        return FileSystemStore(Path(unquote(urlsplit(mirror).path)))
    if mirror.startswith(("https://", "http://")):
        from foundation.stores.web import HttpStore

        return HttpStore(mirror)
    if "://" in mirror:
        raise ValueError(f"{mirror.partition('://')[0]}:// is not supported; write s3://bucket/prefix or a folder")
    return FileSystemStore(Path(mirror))
