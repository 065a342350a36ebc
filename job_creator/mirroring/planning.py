"""What a mirror needs and has: asks Spack and the mirror, and the internet how large the rest is."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock as Mutex
from typing import Final
from urllib.parse import quote, unquote, urlsplit

from job_creator.build_cache.layout_oci import is_oci_url
from job_creator.errors import NotThereError, RefusedError
from job_creator.mirroring.asking import Lock
from job_creator.mirroring.destinations import (
    BucketDestination,
    Destination,
    FolderDestination,
    Place,
    RegistryDestination,
    RegistryPlace,
    StorePlace,
    WebPlace,
)
from job_creator.mirroring.permissions import permissions_of
from job_creator.mirroring.present_binaries import present_binaries
from job_creator.mirrors.carried import STAGING
from job_creator.mirrors.needs import Needs
from job_creator.mirrors.plan import Item, MirrorPlan, Status, binary_items, source_items, usable_binaries
from job_creator.store import Store

_SIZE_TIMEOUT_SECONDS: Final = (3.0, 10.0)
_SIZE_WORKERS: Final = 16

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a mirror is to hold; `private` mirrors may hold what may not be handed on."""

    sources: bool = True
    binaries: bool = False
    private: bool = False


def open_place(url: str, endpoint: str | None, environment: Mapping[str, str]) -> Place:
    """The mirror to ask; a folder need not be there yet. Raises `RefusedError`."""
    if url.startswith(("http://", "https://")):
        from job_creator.adapters.stores.http import HttpStore

        return WebPlace(HttpStore(url))
    if is_oci_url(url):
        return registry_place(url, environment)
    try:
        return StorePlace(url, store_of(url, endpoint, environment))
    except NotThereError:
        return StorePlace(url, None)


def open_destination(
    url: str, endpoint: str | None, environment: Mapping[str, str], group: str | None, cache: Path
) -> Destination | RegistryDestination:
    """The mirror to fill; a folder is made. Raises `RefusedError` and `FileAccessError`."""
    permissions = permissions_of(group)
    if url.startswith("s3://"):
        if group:
            raise RefusedError("--group: a bucket has no groups; leave it out")
        from job_creator.adapters.s3 import endpoint_of, parse_s3_url

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


def make_plan(locks: Sequence[Lock], needs: Needs, place: Place, wanted: Wanted) -> MirrorPlan:
    """How the mirror stands to what it is for. Raises `RefusedError`, `CouldNotAskError` and `FileAccessError`."""
    if wanted.sources and isinstance(place, RegistryPlace):
        raise RefusedError(f"{place.url}: registries hold binaries and no sources; say --no-sources --binaries")
    items: tuple[Item, ...] = ()
    if wanted.sources:
        paths = {source.path for package in needs.packages.values() for source in package.sources if source.path}
        items += source_items(needs, place.present(sorted(paths)), private=wanted.private)
    if wanted.binaries:
        usable = usable_binaries((lock.lockfile for lock in locks), needs, private=wanted.private)
        items += binary_items(needs, usable, present_binaries(place, usable, needs), private=wanted.private)
    return MirrorPlan(needs, items)


def remote_sizes(items: Collection[Item]) -> dict[str, int]:
    """The sizes in bytes of what is missing, by path, as far as the servers of its URLs tell.

    A server that cannot be reached is asked once.
    """
    import requests

    silent: set[str] = set()
    mutex = Mutex()

    def size(item: Item) -> int | None:
        for url in item.source.urls if item.source else ():
            host = urlsplit(url).hostname or ""
            if not url.startswith(("http://", "https://")) or host in silent:
                continue
            try:
                answer = requests.head(url, timeout=_SIZE_TIMEOUT_SECONDS, allow_redirects=True)
            except requests.RequestException:
                with mutex:
                    silent.add(host)
                continue
            length = answer.headers.get("Content-Length", "")
            if answer.ok and length.isdigit():
                return int(length)
        return None

    missing = [item for item in items if item.status == Status.MISSING and item.source]
    with ThreadPoolExecutor(_SIZE_WORKERS) as pool:
        sizes = dict(zip((item.path for item in missing), pool.map(size, missing), strict=True))
    if silent:
        logger.info("could not be asked for sizes: %s", ", ".join(sorted(silent)))
    return {path: found for path, found in sizes.items() if found is not None}


def store_of(url: str, endpoint: str | None, environment: Mapping[str, str]) -> Store:
    """The store of a mirror in a folder or a bucket. Raises `RefusedError` for others and `NotThereError`."""
    from job_creator.adapters.stores import open_store

    try:
        return open_store(url, endpoint, environment)
    except ValueError as error:
        raise RefusedError(str(error)) from None


def registry_place(url: str, environment: Mapping[str, str]) -> RegistryPlace:
    """A repository of a registry, with the user's login there. Raises `RefusedError` for a URL that names none."""
    from job_creator.adapters.docker_config import logins
    from job_creator.adapters.oci_repository import OciRepository

    try:
        return RegistryPlace(OciRepository(url, logins(environment)))
    except ValueError as error:
        raise RefusedError(str(error)) from None


def _staging(cache: Path, url: str) -> Path:
    return cache / "staging" / quote(url, safe="")


def _folder(url: str) -> Path:
    return Path(unquote(urlsplit(url).path)) if url.startswith("file://") else Path(url)
