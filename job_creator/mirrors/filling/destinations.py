"""Where a mirror is kept, and how complete files get there, so that no name ever shows half of one."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from uuid import uuid4

from foundation.errors import RefusedError, naming
from foundation.registries.repository import OciRepository
from foundation.stores.schemes import folder_url
from foundation.stores.store import Store
from job_creator.mirrors.permissions import Permissions
from job_creator.mirrors.places import MirrorPlace

if TYPE_CHECKING:
    from foundation.stores.bucket import S3Store


class BinaryDestination(Protocol):
    """A mirror that Spack puts binaries into."""

    @property
    def url(self) -> str:
        """The URL of the mirror, for messages and for Spack's configuration."""

    @property
    def endpoint(self) -> str | None:
        """The S3 server, if it is not Amazon's."""

    @property
    def staging(self) -> Path:
        """The local folder for files that are not complete yet."""

    @property
    def place(self) -> MirrorPlace:
        """This mirror, as what can be asked what it has."""


@dataclass(frozen=True)
class RegistryDestination:
    """A mirror in a registry."""

    place: OciRepository
    staging: Path
    endpoint: None = None

    @property
    def url(self) -> str:
        """The URL as Spack's configuration has it."""
        return self.place.url


class Destination(BinaryDestination, Protocol):
    """A mirror that is filled with files."""

    @property
    def store(self) -> Store:
        """Reads and writes small files of the mirror, and lists all."""

    def put(self, staged: Path, path: str, links: Collection[str]) -> None:
        """Let a complete file appear under its final name, and readable names lead to it; the staged one is gone."""

    def link(self, path: str, links: Collection[str]) -> None:
        """Let readable names lead to a file that is there."""


@dataclass(frozen=True)
class FolderDestination:
    """A mirror in a folder. Staging is in it, so that a file gets its final name by a rename."""

    root: Path
    staging: Path
    store: Store
    permissions: Permissions
    endpoint: None = None

    @property
    def url(self) -> str:
        """The URL as Spack's configuration has it."""
        return folder_url(str(self.root.resolve()))

    @property
    def place(self) -> Store:
        """This mirror, as what can be asked what it has."""
        return self.store

    def put(self, staged: Path, path: str, links: Collection[str]) -> None:
        """A rename; links are made beside their final names and renamed as well. Raises `FileAccessError`."""
        final = self._path(path)
        with naming(final):
            self.permissions.make_folders(final.parent, self.root)
            self.permissions.of_file(staged, final.parent)
            staged.replace(final)
        self.link(path, links)

    def link(self, path: str, links: Collection[str]) -> None:
        """Let readable names lead to a file, unless they do already. Raises `FileAccessError`."""
        for name in links:
            link = self._path(name)
            target = os.path.relpath(self._path(path), link.parent)
            with naming(link, always=True):
                if link.is_symlink() and str(link.readlink()) == target:
                    continue
                self.permissions.make_folders(link.parent, self.root)
                new = link.with_name(f".{uuid4().hex}.link")
                try:
                    new.symlink_to(target)
                    self.permissions.of_link(new)
                    new.replace(link)
                except BaseException:
                    new.unlink(missing_ok=True)
                    raise

    def _path(self, path: str) -> Path:
        if ".." in path.split("/") or path.startswith("/"):
            raise RefusedError(f"{path}: leads out of the mirror")
        return self.root / path


@dataclass(frozen=True)
class BucketDestination:
    """A mirror in a bucket. Spack looks for archives by their checksums first, so readable names are not needed."""

    endpoint: str | None
    staging: Path
    store: S3Store

    @property
    def url(self) -> str:
        """The URL as Spack's configuration has it."""
        return self.store.url

    @property
    def place(self) -> Store:
        """This mirror, as what can be asked what it has."""
        return self.store

    def put(self, staged: Path, path: str, links: Collection[str]) -> None:
        """Uploads the file; an object appears whole or not at all. Raises `CouldNotAskError` and `FileAccessError`."""
        from foundation.stores.s3_parts import PART_SIZE

        del links
        with naming(staged):
            if staged.stat().st_size > PART_SIZE:
                self.store.upload(staged, path, lambda _: None)
            else:
                self.store.write(path, staged.read_bytes())
            staged.unlink()

    def link(self, path: str, links: Collection[str]) -> None:
        """Nothing: buckets have no links."""
