"""A published SIF file in the folder of a cluster: whole under its name or not there, and old ones kept for a while."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from foundation.doors.blocks import Progress
from foundation.errors import DamagedError, NotThereError
from foundation.stores.bucket import S3Store
from foundation.stores.store import StoredObject
from job_creator.publishing import sif_folder as folder
from job_creator.publishing.places import MARKERS, own_record
from job_creator.publishing.record import PublicationRecord
from job_creator.publishing.retention import Placed, SifRemoval, superseded
from job_creator.site.places import Retention

LEFT_OVER_AFTER: Final = timedelta(days=1)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class InstallPlan:
    """What installing a file does."""

    stored: StoredObject
    record: PublicationRecord
    path: Path
    downloads: bool
    reason: str
    links: frozenset[str]
    """The names that point to the file afterwards."""
    removals: tuple[SifRemoval, ...]


def make_plan(store: S3Store, name: str, root: Path, keep: int, now: datetime, *, verify: bool = False) -> InstallPlan:
    """Ask what is published under a name, look at what is installed, and plan.

    Raises `NotThereError`, `CouldNotAskError`, `FileAccessError`, `DamagedError` if the object does not say what it
    is, and `RefusedError` where a link would replace a file of someone else's.
    """
    place, stored = f"{store.url}/{name}", store.look(name)
    if stored is None:
        raise NotThereError(f"{place}: is not published")
    record = own_record(stored)
    if record is None or not record.sha256 or record.size != stored.size:
        raise DamagedError(f"{place}: has no record, or one of another file; publish it with jc publish-sif")
    path = folder.path_of(root, record)
    links = frozenset({record.file_name, *([folder.CURRENT] if record.is_release else [])})
    folder.require_own_links(path.parent, links)
    present = folder.installed(path.parent)
    downloads, reason = _decide(path, record, present, verify=verify)
    if downloads:
        folder.require_space(path.parent, record.size)
    removals = _removals(Placed(str(path), record), links, present, keep, now)
    return InstallPlan(stored, record, path, downloads, reason, links, removals)


def install(store: S3Store, plan: InstallPlan, cluster: str, progress: Progress, now: datetime) -> None:
    """Do what was planned; with a cluster's name also write down that it has the file.

    Raises `CouldNotAskError`, `NotThereError`, `FileAccessError` and `DamagedError`; what was installed before stays.
    """
    if plan.downloads:
        folder.install(plan.path, plan.record, lambda descriptor: store.download(plan.stored, descriptor, progress))
        logger.info("%s: installed, sha256 %s", plan.path, plan.record.sha256)
    else:
        # The same content can have been published again, for another branch.
        folder.write_record(plan.path, plan.record)
    for name in sorted(plan.links):
        folder.point(plan.path.parent / name, plan.path.name)
    going = {removal.placed.place for removal in plan.removals}
    for one in folder.installed(plan.path.parent):
        # Somebody may have set a link to it meanwhile.
        if str(one.path) in going and not one.links:
            folder.remove(one)
    folder.remove_paths(folder.left_overs(plan.path.parent, now - LEFT_OVER_AFTER))
    if cluster:
        store.mark(f"{MARKERS}/{cluster}/{plan.record.file_name}", plan.record.to_metadata())


def _decide(
    path: Path, record: PublicationRecord, present: tuple[folder.Installed, ...], *, verify: bool
) -> tuple[bool, str]:
    own = next((one for one in present if one.path == path), None)
    if own is None or not path.exists():
        return True, "not installed yet"
    if own.record.sha256 != record.sha256 or not folder.is_whole(own):
        return True, "what is installed is damaged"
    if verify and folder.sha256_of(path) != record.sha256:
        return True, "what is installed has another sha256"
    return False, "installed already"


def _removals(
    newest: Placed, links: frozenset[str], present: tuple[folder.Installed, ...], keep: int, now: datetime
) -> tuple[SifRemoval, ...]:
    """What is superseded beyond the previous `keep`; what a link points to, once the new ones are set, stays."""
    placed = [Placed(str(one.path), one.record) for one in present if folder.is_whole(one)]
    linked = {str(one.path) for one in present if one.links - links}
    beyond = superseded(placed, newest, Retention(keep=keep + 1, older_than_days=0), now)
    return tuple(removal for removal in beyond if removal.placed.place not in linked)
