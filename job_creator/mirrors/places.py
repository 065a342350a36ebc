"""Mirrors that can be asked what they have."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from foundation.errors import NotThereError, RefusedError
from foundation.registries.repository import OciRepository
from foundation.spack.layout_oci import is_oci_url
from foundation.stores.store import Store
from foundation.stores.web import HttpStore


class MirrorPlace(Protocol):
    """A mirror that can be asked what it has."""

    @property
    def url(self) -> str:
        """For messages."""

    def present(self, paths: Collection[str]) -> Mapping[str, int | None]:
        """Those of the paths that are there, with their sizes in bytes as far as they are known."""


@dataclass(frozen=True)
class StorePlace:
    """A mirror in a folder or a bucket; `store` is `None` for a folder that is not there yet."""

    url: str
    store: Store | None

    def present(self, paths: Collection[str]) -> Mapping[str, int | None]:
        """Lists the folders that the paths are in, the common one of archives once."""
        if self.store is None:
            return {}
        wanted = frozenset(paths)
        found: dict[str, int | None] = {}
        for prefix in sorted({f"{path.partition('/')[0]}/" for path in wanted}):
            found |= {one.key: one.size for one in self.store.list(prefix) if one.key in wanted and one.tag != "link"}
        return found


@dataclass(frozen=True)
class WebPlace:
    """A mirror on a web server, which can only be read."""

    store: HttpStore

    @property
    def url(self) -> str:
        """Without credentials."""
        return self.store.url

    def present(self, paths: Collection[str]) -> Mapping[str, int | None]:
        """Asks for each path. Raises `CouldNotAskError`."""
        with ThreadPoolExecutor(self.store.workers) as pool:
            found = pool.map(self.store.look, paths)
            return {one.key: one.size if one.size >= 0 else None for one in found if one}


@dataclass(frozen=True)
class RegistryPlace:
    """A mirror in a registry, which holds binaries and nothing else."""

    repository: OciRepository

    @property
    def url(self) -> str:
        """For messages."""
        return self.repository.url

    def present(self, paths: Collection[str]) -> Mapping[str, int | None]:
        """None of them."""
        del paths
        return {}


def open_place(url: str, endpoint: str | None, environment: Mapping[str, str]) -> MirrorPlace:
    """The mirror to ask; a folder need not be there yet. Raises `RefusedError`."""
    if url.startswith(("http://", "https://")):
        from foundation.stores.web import HttpStore

        return WebPlace(HttpStore(url))
    if is_oci_url(url):
        return registry_place(url, environment)
    try:
        return StorePlace(url, store_of(url, endpoint, environment))
    except NotThereError:
        return StorePlace(url, None)


def store_of(url: str, endpoint: str | None, environment: Mapping[str, str]) -> Store:
    """The store of a mirror in a folder or a bucket. Raises `RefusedError` for others and `NotThereError`."""
    from foundation.stores.opening import open_store

    try:
        return open_store(url, endpoint, environment)
    except ValueError as error:
        raise RefusedError(str(error)) from None


def registry_place(url: str, environment: Mapping[str, str]) -> RegistryPlace:
    """A repository of a registry, with the user's login there. Raises `RefusedError` for a URL that names none."""
    from foundation.registries.logins import logins
    from foundation.registries.repository import OciRepository

    try:
        return RegistryPlace(OciRepository(url, logins(environment)))
    except ValueError as error:
        raise RefusedError(str(error)) from None
