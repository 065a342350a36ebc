"""Where mirrors are kept. Each module is one implementation of `job_creator.store.Store`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from job_creator.store import Store


def open_store(mirror: str, endpoint: str | None, environment: Mapping[str, str]) -> Store:
    """The store of a mirror: `s3://bucket/prefix`, `https://…`, `file:///folder` or a folder. Raises `ValueError`."""
    from job_creator.adapters.s3 import endpoint_of, parse_s3_url
    from job_creator.adapters.stores.filesystem import FileSystemStore

    if mirror.startswith("s3://"):
        from job_creator.adapters.stores.s3 import S3Store

        return S3Store(parse_s3_url(mirror), endpoint or endpoint_of(environment))
    if mirror.startswith("file://"):
        return FileSystemStore(Path(unquote(urlsplit(mirror).path)))
    if mirror.startswith(("https://", "http://")):
        from job_creator.adapters.stores.http import HttpStore

        return HttpStore(mirror)
    if "://" in mirror:
        raise ValueError(f"{mirror.partition('://')[0]}:// is not supported; write s3://bucket/prefix or a folder")
    return FileSystemStore(Path(mirror))
