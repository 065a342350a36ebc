"""Opens stores by their URLs. Each other module of this folder that is named here is one kind of store."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from foundation.stores.schemes import BUCKET, FOLDER, WEB_SERVER, folder_url, kind_of, path_of, split_url
from foundation.stores.store import Store

if TYPE_CHECKING:
    from foundation.stores.bucket import S3Store


def open_store(mirror: str, endpoint: str | None, environment: Mapping[str, str]) -> Store:
    """The store of a mirror: `s3://bucket/prefix`, `https://…`, `file:///folder` or a folder.

    `endpoint` is the S3 server, if it is not the one that the environment names. Raises `ValueError` for a URL that
    names none, `NotThereError` for a folder that is not there, and `CouldNotAskError`.
    """
    kind = kind_of(mirror)
    if kind is FOLDER:
        from foundation.stores.folder import FileSystemStore

        return FileSystemStore(Path(path_of(mirror)))
    if kind is BUCKET:
        return open_bucket(mirror, endpoint, environment)
    if kind is WEB_SERVER:
        from foundation.stores.web import HttpStore

        return HttpStore(mirror)
    raise ValueError(f"{split_url(mirror)[0]}:// is not supported; write s3://bucket/prefix or a folder")


def open_bucket(mirror: str, endpoint: str | None, environment: Mapping[str, str]) -> S3Store:
    """The store of `s3://bucket/prefix`. Raises `ValueError` for a URL that names none, and `CouldNotAskError`."""
    from foundation.stores.bucket import S3Store
    from foundation.stores.s3_client import endpoint_of, parse_s3_url

    return S3Store(parse_s3_url(mirror), endpoint or endpoint_of(environment))


def url_of(mirror: str) -> str:
    """The URL of a mirror, also of one that is given as a path, as Spack's configuration has it."""
    return mirror.rstrip("/") if split_url(mirror)[0] else folder_url(str(Path(mirror).resolve()))
