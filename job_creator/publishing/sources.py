"""Where a SIF file that is to be published comes from: this machine, or the bucket, where another job staged it."""

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
from job_creator.publishing.places import remove_objects
from job_creator.publishing.publication import UPLOADS
from job_creator.publishing.sif_file import require_sif_file


@dataclass(frozen=True, slots=True)
class SifSource:
    """A SIF file by its path, or by the URL that it was staged at, with the sha256 that it has to have there."""

    given: str
    store: S3Store
    sha256: str = ""

    @property
    def is_staged(self) -> bool:
        """Whether it lies in the bucket."""
        return kind_of(self.given) is BUCKET

    def require(self) -> None:
        """Raises `RefusedError` and `NotThereError` for what nobody staged, `DamagedError` for what is no SIF file."""
        if not self.is_staged:
            require_sif_file(Path(self.given))
        elif not self._key.startswith(f"{UPLOADS}/") or not self.sha256:
            raise RefusedError(f"{self.given}: was not staged in {self.store.url}, or nothing says its sha256")

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
        with naming(tempfile.gettempdir()), tempfile.TemporaryDirectory(prefix="jc-sif-") as folder:
            path = Path(folder) / self._key.rpartition("/")[2]
            with path.open("xb") as stream:
                self.store.download(found, stream.fileno(), lambda _: None)
                os.fsync(stream.fileno())
            if (digest := sha256(path)) != self.sha256:
                raise DamagedError(f"{self.given}: has sha256 {digest}, and {self.sha256} was staged; was it replaced?")
            require_sif_file(path)
            yield path

    def forget(self) -> None:
        """Remove what was staged: it is published. Raises `CouldNotAskError`."""
        if self.is_staged:
            remove_objects(self.store, [self._key])

    @property
    def _key(self) -> str:
        return self.given.removeprefix(f"{self.store.url}/")
