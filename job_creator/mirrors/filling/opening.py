"""Opens the mirror that is to be filled."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from foundation.errors import RefusedError
from foundation.spack.layout_oci import is_oci_url
from job_creator.mirrors.contents import STAGING
from job_creator.mirrors.filling.destinations import (
    BucketDestination,
    Destination,
    FolderDestination,
    RegistryDestination,
)
from job_creator.mirrors.permissions import permissions_of
from job_creator.mirrors.places import registry_place, store_of


def open_destination(
    url: str, endpoint: str | None, environment: Mapping[str, str], group: str | None, cache: Path
) -> Destination | RegistryDestination:
    """The mirror to fill; a folder is made. Raises `RefusedError` and `FileAccessError`."""
    permissions = permissions_of(group)
    if url.startswith("s3://"):
        if group:
            raise RefusedError("--group: a bucket has no groups; leave it out")
        from foundation.stores.s3_client import endpoint_of, parse_s3_url

        store = store_of(url, endpoint, environment)
        store.require_writable(())
        return BucketDestination(parse_s3_url(url), endpoint or endpoint_of(environment), _staging(cache, url), store)
    if is_oci_url(url):
        if group:
            raise RefusedError("--group: a registry has no groups; leave it out")
        return RegistryDestination(registry_place(url, environment), _staging(cache, url))
    if "://" in url and not url.startswith("file://"):
        raise RefusedError(f"{url}: can only be read; fill the folder or the bucket that it shows")
    root = _folder(url).absolute()
    permissions.make_folders(root, root)
    staging = root / STAGING / f"create-{os.geteuid()}"
    permissions.make_folders(staging.parent, root)
    store = store_of(url, endpoint, environment)
    store.require_writable((STAGING,))
    return FolderDestination(root, staging, store, permissions)


def _staging(cache: Path, url: str) -> Path:
    return cache / "staging" / quote(url, safe="")


def _folder(url: str) -> Path:
    return Path(unquote(urlsplit(url).path)) if url.startswith("file://") else Path(url)
