"""The folder of a cluster as a place that deleted branches left files in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from foundation.errors import naming
from job_creator.publishing.clusters import sif_folder
from job_creator.publishing.retention import Placed, SifRemoval


class FolderPlace:
    """The files that are installed in a folder. One that a link led to less than `keep_days` ago loses its links only.

    A job may run from it.
    """

    def __init__(self, root: Path, keep_days: int, now: datetime) -> None:
        self._root = root
        self._keep_days = keep_days
        self._now = now

    @property
    def name(self) -> str:
        """The path of the folder."""
        return str(self._root)

    def placed(self) -> tuple[Placed, ...]:
        """The files of all containers. Raises `FileAccessError`."""
        return tuple(Placed(str(one.path), one.record) for one in self._removable())

    def possible(self, removals: Sequence[SifRemoval]) -> tuple[SifRemoval, ...]:
        """Links at once, files when no link has led to them for long enough. Raises `FileAccessError`."""
        here = {str(one.path): one for one in self._removable()}
        found = ((removal, here.get(removal.placed.place)) for removal in removals)
        return tuple(
            replace(removal, links_only=not self._is_free(one))
            for removal, one in found
            if one and (one.links or self._is_free(one))
        )

    def remove(self, removals: Sequence[SifRemoval]) -> int:
        """Remove files with their links and records, or links alone; how many files went. Raises `FileAccessError`."""
        planned = {removal.placed.place: removal for removal in removals}
        pairs = [(one, planned[str(one.path)]) for one in self._removable() if str(one.path) in planned]
        going = [(one, removal) for one, removal in pairs if removal.placed.record == one.record]
        for one, removal in going:
            sif_folder.unlink(one, self._now)
            if not removal.links_only:
                sif_folder.remove(one)
        return sum(not removal.links_only for _, removal in going)

    def _is_free(self, one: sif_folder.Installed) -> bool:
        limit = self._now - timedelta(days=self._keep_days)
        return not self._keep_days or (not one.links and one.free_since < limit)

    def _removable(self) -> list[sif_folder.Installed]:
        """What no link of another name than its own points to."""
        with naming(self._root):
            folders = sorted(path for path in self._root.iterdir() if path.is_dir())
        found = (one for folder in folders for one in sif_folder.installed(folder))
        return [one for one in found if one.links <= {one.record.file_name}]
