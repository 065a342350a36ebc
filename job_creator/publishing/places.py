"""Where published files lie: a bucket, or a folder of a cluster. Each says what it has on record, and removes."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, Protocol

from foundation.errors import naming
from foundation.stores.s3_client import S3Location, parse_s3_url
from job_creator.publishing import sif_folder
from job_creator.publishing.record import PublicationRecord
from job_creator.publishing.retention import Placed, SifRemoval
from job_creator.publishing.sif_bucket import PublicationBucket, Stored

MARKERS: Final = "installed"

logger = logging.getLogger(__name__)


class PublishingPlace(Protocol):
    """Somewhere that published files lie."""

    @property
    def name(self) -> str:
        """The place as the user wrote it."""

    def placed(self) -> tuple[Placed, ...]:
        """Every file there that has a record, and so was published by `jc`. Raises `CouldNotAskError`."""

    def remove(self, removals: Sequence[SifRemoval]) -> int:
        """Remove files, unless they were replaced since they were listed; how many went."""


class BucketPlace:
    """The files under a prefix, and the markers that say which cluster has which of them."""

    def __init__(self, bucket: PublicationBucket) -> None:
        self._bucket = bucket

    @property
    def name(self) -> str:
        """The URL of the prefix."""
        return str(self._bucket.root)

    def placed(self) -> tuple[Placed, ...]:
        """Files and markers. Raises `CouldNotAskError`."""
        files = self._placed(entry.place for entry in self._bucket.objects(""))
        markers = [entry.place for entry in self._bucket.objects(f"{MARKERS}/", below=True)]
        return files + self._placed(markers, are_markers=True)

    def versions_of(self, container: str) -> tuple[Placed, ...]:
        """The files of one container. Raises `CouldNotAskError`."""
        found = self._placed(entry.place for entry in self._bucket.objects(f"{container}__"))
        return tuple(one for one in found if one.record.container == container)

    def remove(self, removals: Sequence[SifRemoval]) -> int:
        """Remove files and markers; how many went. Raises `CouldNotAskError`, also for what the server refuses."""
        places = [parse_s3_url(removal.placed.place) for removal in removals]
        now = {stored.place: stored.record for stored in self._bucket.look_at_all(places)}
        going = []
        for place, removal in zip(places, removals, strict=True):
            if place not in now or now[place] == removal.placed.record:
                going.append(place)
            else:
                logger.info("%s: stays, it was replaced meanwhile", place)
        self._bucket.remove(going)
        return len(going)

    def _placed(self, places: Iterable[S3Location], *, are_markers: bool = False) -> tuple[Placed, ...]:
        found = self._bucket.look_at_all(places)
        return tuple(Placed(str(one.place), record, are_markers) for one in found if (record := own_record(one)))


class FolderPlace:
    """The files that are installed in a folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @property
    def name(self) -> str:
        """The path of the folder."""
        return str(self._root)

    def placed(self) -> tuple[Placed, ...]:
        """The files of all containers. Raises `FileAccessError`."""
        return tuple(Placed(str(one.path), one.record) for one in self._removable())

    def remove(self, removals: Sequence[SifRemoval]) -> int:
        """Remove files with their links and records; how many went. Raises `FileAccessError`."""
        planned = {removal.placed.place: removal.placed.record for removal in removals}
        going = [one for one in self._removable() if planned.get(str(one.path)) == one.record]
        for one in going:
            sif_folder.remove(one)
        return len(going)

    def _removable(self) -> list[sif_folder.Installed]:
        """What no link of another name than its own points to."""
        with naming(self._root):
            folders = sorted(path for path in self._root.iterdir() if path.is_dir())
        found = (one for folder in folders for one in sif_folder.installed(folder))
        return [one for one in found if one.links <= {one.record.file_name}]


def own_record(stored: Stored) -> PublicationRecord | None:
    """The record of an object that lies where its record says; what somebody copied to another name is not ours."""
    record = stored.record
    return record if record and stored.place.key.rpartition("/")[2] == record.file_name else None
