"""Fetches archives, several at once: streamed into a hidden place, verified, and only then where they belong."""

from __future__ import annotations

import logging
import os
import shutil
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from foundation.doors.http import Patience
from foundation.errors import DamagedError, FileAccessError, NotThereError, SpacktainersError, naming
from get_artifacts.archives import Unpacked, UnpackLimits, read_directory, unpack, verify
from get_artifacts.gitlab_api import Archives, BrokenOffError
from get_artifacts.output_folder import OutputFolder
from get_artifacts.selection import Archive
from get_artifacts.session import PATIENCE

logger = logging.getLogger(__name__)

WORKERS: Final = 16
"""Downloads at once."""


def _looks_at_once() -> int:
    """How many archives are held against their checksums at once: the other cores bring the next.

    More would only fight for the interpreter; on two cores that is a third of the time of `ga`.
    """
    return max(1, (os.cpu_count() or 1) // 2)


class Display(Protocol):
    """Is told which archive is fetched and how many bytes of it arrived; called from several threads."""

    def begin(self, item: Archive) -> None:
        """The archive of this one is asked for."""

    def advance(self, count: int) -> None:
        """So many bytes more; less, where a download starts again."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """An artifact in its place, and whether it came now or was there already."""

    item: Archive
    path: Path
    files: tuple[Unpacked, ...]
    """What was unpacked; nothing where archives are kept as they are."""
    is_new: bool


class _StoppedError(Exception):
    """The command ends; nobody looks at the result any more."""


@dataclass(frozen=True)
class Fetcher:
    """Brings artifacts into the output folder, several at once."""

    server: Archives
    store: OutputFolder
    display: Display
    limits: UnpackLimits = field(default_factory=UnpackLimits)
    patience: Patience = PATIENCE
    unpacks: bool = True
    _stop: threading.Event = field(default_factory=threading.Event)
    _looks: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(_looks_at_once()))

    def fetch_all(self, items: Sequence[Archive]) -> tuple[list[Arrival], list[SpacktainersError]]:
        """Fetch all that can be, and say what went wrong with the others."""
        arrivals: list[Arrival] = []
        errors: list[SpacktainersError] = []
        pool = ThreadPoolExecutor(max_workers=WORKERS)
        try:
            for future in [pool.submit(self._fetch, item) for item in items]:
                try:
                    arrivals.append(future.result())
                except SpacktainersError as error:
                    errors.append(error)
        finally:
            self._stop.set()
            # Not waiting: whoever interrupts the command shall not wait for a server that says nothing.
            pool.shutdown(wait=False, cancel_futures=True)
        return arrivals, errors

    def _fetch(self, item: Archive) -> Arrival:
        before = self._before(item)
        if before is not None:
            self.display.advance(item.job.archive_bytes or 0)
            return before
        archive = self.store.staging(f"{item.folder}.zip")
        self.display.begin(item)
        folder = self.store.staging(item.folder)
        files = self._download(item, archive, folder)
        if not self.unpacks:
            self._require_interest()
            return Arrival(item, self.store.publish(item, archive, None), (), is_new=True)
        self._require_files(item, archive, files)
        archive.unlink()
        self._require_interest()
        return Arrival(item, self.store.publish(item, folder, files), files, is_new=True)

    def _before(self, item: Archive) -> Arrival | None:
        """What an earlier run brought, if it is still what it was."""
        path = self.store.path_of(item, unpacked=self.unpacks)
        if self.unpacks:
            files = self.store.unpacked_before(item)
            return None if files is None else Arrival(item, path, files, is_new=False)
        if not self.store.archive_before(item):
            return None
        try:
            verify(path, self.limits)
        except (DamagedError, FileAccessError):
            return None
        return Arrival(item, path, (), is_new=False)

    def _download(self, item: Archive, archive: Path, folder: Path) -> tuple[Unpacked, ...]:
        """The whole archive, unpacked if that is wanted; begun again where it broke off or is damaged."""
        attempt = 1
        while True:
            self._require_interest()
            received = 0
            try:
                received = self._stream(item, archive)
                self._require_whole(item, received)
                return self._unpacked(item, archive, folder)
            except (BrokenOffError, DamagedError) as error:
                self.display.advance(-received)
                shutil.rmtree(folder, ignore_errors=True)
                if attempt == self.patience.attempts:
                    raise
                logger.info("%s; trying again", error)
                self._stop.wait(self.patience.backoff * 2 ** (attempt - 1))
            attempt += 1

    def _unpacked(self, item: Archive, archive: Path, folder: Path) -> tuple[Unpacked, ...]:
        """What is in an archive; what is kept as it is, is only held against its checksums."""
        with self._looks:
            self._require_interest()
            if self.unpacks:
                return unpack(archive, folder, item.folder, item.paths, self.limits)
            verify(archive, self.limits)
            return ()

    def _stream(self, item: Archive, archive: Path) -> int:
        """One try; returns how many bytes came."""
        received = 0
        try:
            with (
                naming(archive),
                closing(self.server.archive(item.job)) as pieces,
                archive.open("wb") as stream,
            ):
                for piece in pieces:
                    self._require_interest()
                    stream.write(piece)
                    received += len(piece)
                    self.display.advance(len(piece))
                    if received > (item.job.archive_bytes or 0):
                        break
        except NotThereError as error:
            raise NotThereError(f"{error}; they were erased or have expired, run the job again") from None
        except BrokenOffError:
            self.display.advance(-received)
            raise
        return received

    def _require_interest(self) -> None:
        if self._stop.is_set():
            raise _StoppedError

    @staticmethod
    def _require_whole(item: Archive, received: int) -> None:
        if received != item.job.archive_bytes:
            message = f"its archive has {item.job.archive_bytes:,} bytes, {received:,} came"
            raise DamagedError(f"job {item.job.name!r}: {message}")

    @staticmethod
    def _require_files(item: Archive, archive: Path, files: Sequence[Unpacked]) -> None:
        """Raise `NotThereError` for an archive without that which it is fetched for."""
        if not files or (item.required and item.required not in {file.name for file in files}):
            names = read_directory(archive, UnpackLimits())
            what = f"{item.folder}/{item.required}" if item.required else " or ".join(map(repr, item.paths))
            shown = ", ".join(map(repr, names[:20])) or "nothing"
            raise NotThereError(f"job {item.job.name!r}: left no {what}; its archive holds {shown}")
