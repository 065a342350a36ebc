"""Mirrors that can be asked what they have: stores of files, and registries, which hold binaries only."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from foundation.errors import NotThereError, RefusedError
from foundation.registries.logins import logins
from foundation.registries.repository import OciRepository
from foundation.stores.opening import open_bucket, open_store
from foundation.stores.schemes import REGISTRY, kind_of
from foundation.stores.store import Store, look_at_all

if TYPE_CHECKING:
    from foundation.stores.bucket import S3Store

MirrorPlace = Store | OciRepository
"""A mirror that can be asked what it has."""


def present(store: Store, paths: Collection[str]) -> Mapping[str, int | None]:
    """Those of the paths that are there, with their sizes in bytes as far as they are known.

    Lists the folders that the paths are in, the common one of archives once; where nothing can be listed, it asks for
    each path. Raises `CouldNotAskError` and `FileAccessError`.
    """
    if not store.can_be_listed:
        return {one.key: one.size if one.size >= 0 else None for one in look_at_all(store, paths)}
    wanted = frozenset(paths)
    sizes: dict[str, int | None] = {}
    for prefix in sorted({f"{path.partition('/')[0]}/" for path in wanted}):
        sizes |= {one.key: one.size for one in store.list(prefix) if one.key in wanted and one.tag != "link"}
    return sizes


def open_place(url: str, endpoint: str | None, environment: Mapping[str, str]) -> MirrorPlace | None:
    """The mirror to ask; `None` for a folder that is not there yet. Raises `RefusedError`."""
    if kind_of(url) is REGISTRY:
        return repository_of(url, environment)
    try:
        return store_of(url, endpoint, environment)
    except NotThereError:
        return None


def store_of(url: str, endpoint: str | None, environment: Mapping[str, str]) -> Store:
    """The store of a mirror, except in a registry. Raises `RefusedError` for others, and `NotThereError`."""
    try:
        return open_store(url, endpoint, environment)
    except ValueError as error:
        raise RefusedError(str(error)) from None


def bucket_of(url: str, endpoint: str | None, environment: Mapping[str, str]) -> S3Store:
    """The store of a mirror in a bucket. Raises `RefusedError` for a URL that names none."""
    try:
        return open_bucket(url, endpoint, environment)
    except ValueError as error:
        raise RefusedError(str(error)) from None


def repository_of(url: str, environment: Mapping[str, str]) -> OciRepository:
    """A repository of a registry, with the user's login there. Raises `RefusedError` for a URL that names none."""
    try:
        return OciRepository(url, logins(environment))
    except ValueError as error:
        raise RefusedError(str(error)) from None
