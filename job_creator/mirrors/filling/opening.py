"""Opens the mirror that is to be filled."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from foundation.errors import RefusedError, naming
from foundation.spack.source_needs import NEEDS_KEY
from foundation.stores.schemes import BUCKET, REGISTRY, kind_of, path_of
from job_creator.mirrors.contents import STAGING
from job_creator.mirrors.filling.destinations import (
    BucketDestination,
    Destination,
    FolderDestination,
    RegistryDestination,
)
from job_creator.mirrors.permissions import permissions_of
from job_creator.mirrors.places import bucket_of, repository_of, store_of


def open_destination(
    url: str, endpoint: str | None, environment: Mapping[str, str], group: str | None, cache: Path
) -> Destination | RegistryDestination:
    """The mirror to fill; a folder is made. Raises `RefusedError` and `FileAccessError`."""
    kind = kind_of(url)
    if kind is None or not kind.can_be_filled:
        raise RefusedError(f"{url}: can only be read; fill the folder or the bucket that it shows")
    if group and not kind.has_groups:
        raise RefusedError(f"--group: a {kind.name} has no groups; leave it out")
    if kind is REGISTRY:
        return RegistryDestination(repository_of(url, environment), _staging(cache, url))
    if kind is BUCKET:
        from foundation.stores.s3_client import endpoint_of

        bucket = bucket_of(url, endpoint, environment)
        bucket.require_writable(())
        return BucketDestination(endpoint or endpoint_of(environment), _staging(cache, url), bucket)
    permissions = permissions_of(group)
    root = Path(path_of(url)).absolute()
    staging = root / STAGING / f"create-{os.geteuid()}"
    with naming(root):
        permissions.make_folders(root, root)
        permissions.make_folders(staging, root)
    store = store_of(url, endpoint, environment)
    store.require_writable((NEEDS_KEY, f"{STAGING}x", staging.relative_to(root).joinpath("x").as_posix()))
    return FolderDestination(root, staging, store, permissions)


def _staging(cache: Path, url: str) -> Path:
    return cache / "staging" / quote(url, safe="")
