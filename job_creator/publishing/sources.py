"""Where a SIF file that is to be published comes from: this machine, the bucket, where another job staged it, or a
place of others, from which it is fetched with keys of its own."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from foundation.doors.blocks import sha256
from foundation.errors import DamagedError, NotThereError, RefusedError, naming
from foundation.stores.bucket import S3Store
from foundation.stores.schemes import BUCKET, kind_of
from foundation.stores.store import StoredObject
from job_creator.publishing.places import own_record, remove_objects
from job_creator.publishing.proofs import verdict
from job_creator.publishing.publication import UPLOADS
from job_creator.publishing.sif_file import require_sif_file


@dataclass(frozen=True, slots=True)
class SifSource:
    """A SIF file by its path, or by the URL that it was staged at, with the sha256 that it has to have there."""

    given: str
    store: S3Store
    sha256: str = ""
    elsewhere: S3Store | None = None
    """The place of others in which it is published."""

    @property
    def is_staged(self) -> bool:
        """Whether another job left it in the bucket."""
        return kind_of(self.given) is BUCKET and self._key.startswith(f"{UPLOADS}/")

    def published(self, keys: bytes | None) -> StoredObject | None:
        """The file as it is published under another name, or in a place of others; `None` for one that is not.

        Raises `NotThereError` if there is none, `RefusedError` if these keys do not prove it, and `CouldNotAskError`.
        """
        if kind_of(self.given) is not BUCKET or self.is_staged:
            return None
        store = self.elsewhere or self.store
        found = store.look(self.given.removeprefix(f"{store.url}/"))
        if found is None:
            raise NotThereError(f"{self.given}: is not published any more; run the pipeline again")
        if keys and (reason := verdict(store, found, keys).reason):
            raise RefusedError(f"{self.given}: {reason}, so it is not copied; run the pipeline again")
        return found

    def require(self) -> None:
        """Raises `RefusedError` for a staged file whose sha256 nobody says, `DamagedError` for what is no SIF file."""
        if kind_of(self.given) is not BUCKET:
            require_sif_file(Path(self.given))
        elif self.is_staged and not self.sha256:
            raise RefusedError(f"{self.given}: waits to be signed, and nothing says its sha256; say --sha256")

    @contextmanager
    def local(self) -> Iterator[Path]:
        """The file on this machine, as long as the block lasts.

        Raises `NotThereError`, `CouldNotAskError`, `FileAccessError`, and `DamagedError` for another file than the one
        that was staged.
        """
        if not self.is_staged:
            yield Path(self.given)
            return
        found = self.store.look(self._key)
        if found is None:
            raise NotThereError(f"{self.given}: is gone; run the job again that makes the SIF file")
        with self._fetched(self.store, found, self.sha256) as path:
            yield path

    @contextmanager
    def fetched(self, found: StoredObject) -> Iterator[Path]:
        """What is published in the place of others, on this machine, as long as the block lasts.

        Raises `DamagedError` for another file than its record says, and what `local` raises.
        """
        record = own_record(found)
        if self.elsewhere is None or record is None or not record.sha256:
            raise DamagedError(f"{self.given}: has no record, or that of another file")
        with self._fetched(self.elsewhere, found, record.sha256) as path:
            yield path

    @contextmanager
    def _fetched(self, store: S3Store, found: StoredObject, expected: str) -> Iterator[Path]:
        with naming(tempfile.gettempdir()), tempfile.TemporaryDirectory(prefix="jc-sif-") as folder:
            path = Path(folder) / found.key.rpartition("/")[2]
            with path.open("xb") as stream:
                store.download(found, stream.fileno(), lambda _: None)
                os.fsync(stream.fileno())
            if (digest := sha256(path)) != expected:
                raise DamagedError(f"{self.given}: has sha256 {digest}, and not {expected}; was it replaced?")
            require_sif_file(path)
            yield path

    def forget(self) -> None:
        """Remove what was staged: it is published. Raises `CouldNotAskError`."""
        if self.is_staged:
            remove_objects(self.store, [self._key])

    @property
    def _key(self) -> str:
        return self.given.removeprefix(f"{self.store.url}/")
