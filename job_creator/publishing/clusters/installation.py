"""A published SIF file in the folder of a cluster: whole under its name or not there, and old ones kept for a while."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from time import monotonic
from typing import Final

from foundation.doors.blocks import Progress
from foundation.errors import DamagedError, NotThereError, RefusedError
from foundation.stores.bucket import S3Store
from foundation.stores.store import StoredObject
from job_creator.provenance.signing import NO_KEY, UNSIGNED, SignatureVerdict
from job_creator.publishing.clusters import sif_folder as folder
from job_creator.publishing.clusters.current import Current, read_current, write_current
from job_creator.publishing.places import MARKERS, own_record
from job_creator.publishing.proofs import signature_of, verdict
from job_creator.publishing.record import PublicationRecord
from job_creator.publishing.retention import Placed, SifRemoval, superseded
from job_creator.publishing.sif_file import HEAD, require_sif
from job_creator.site.places import Retention

LEFT_OVER_AFTER: Final = timedelta(days=1)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Rules:
    """How files are kept in a cluster's folder."""

    keep: int
    """So many previous files stay."""
    keep_days: int
    """And all that a link led to less than so many days ago, since jobs may run from them."""
    modes: folder.Modes = folder.USUAL_MODES


@dataclass(frozen=True, slots=True)
class Asked:
    """What is wanted there, and what is believed of what the bucket says."""

    pipeline: int = 0
    """The one of the default branch that wants the file there; without, it is the one that published it."""
    fingerprint: str = ""
    """Of what the file has to be made from, if that is known."""
    keys: bytes | None = None
    """The public keys of the site, if they are known."""
    is_proof_needed: bool = False
    """Whether a file that these keys do not prove is refused; otherwise it is installed, but never `current`."""
    verify: bool = False
    """Whether what is installed already is read."""


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
    current: Current | None
    """What `current` leads to afterwards; `None` if that is not known."""
    removals: tuple[SifRemoval, ...]
    proof: SignatureVerdict
    """Whether the file is proven to be the site's."""
    signature: bytes = b""
    """Of its record, which users of the cluster prove it with; empty if it is not proven."""

    @property
    def about_current(self) -> str:
        """Why a release does not become `current`; empty if it does, or is none."""
        if not self.record.is_release or folder.CURRENT in self.links or not self.current:
            return ""
        return f"current stays at {self.current.file}, which pipeline {self.current.pipeline} wants there"


def make_plan(store: S3Store, name: str, root: Path, rules: Rules, now: datetime, asked: Asked) -> InstallPlan:
    """Ask what is published under a name, look at what is installed, and plan.

    Raises `NotThereError`, `CouldNotAskError`, `FileAccessError`, `DamagedError` if the object is not what its record
    or its signature says, or no SIF file, and `RefusedError` where it is not proven, older than what is wanted or
    there, or where a link would replace a file of someone else's.
    """
    place, stored = f"{store.url}/{name}", store.look(name)
    if stored is None:
        raise NotThereError(f"{place}: is not published")
    record = own_record(stored)
    if record is None or not record.sha256 or record.size != stored.size:
        raise DamagedError(f"{place}: has no record, or one of another file; publish it with jc publish-sif")
    proof = verdict(store, stored, asked.keys)
    _require_proven(place, proof, asked)
    path = folder.path_of(root, record)
    present = folder.installed(path.parent)
    _require_no_older(place, record, asked, present)
    current = read_current(path.parent) or _linked(present)
    links = frozenset({record.file_name})
    number = asked.pipeline or record.pipeline
    may_be_current = record.is_release and (proof.is_good or not asked.keys)
    if may_be_current and (current is None or current.pipeline <= number):
        current, links = Current(number, path.name), links | {folder.CURRENT}
    folder.require_own_links(path.parent, links)
    downloads, reason = _decide(path, record, present, verify=asked.verify)
    if downloads:
        require_sif(place, b"".join(islice(store.blocks(replace(stored, size=min(stored.size, HEAD))), HEAD)))
        folder.require_space(path.parent, record.size)
    removals = _removals(Placed(str(path), record), links, present, rules, now)
    signature = signature_of(store, stored) if proof.is_good else b""
    return InstallPlan(stored, record, path, downloads, reason, links, current, removals, proof, signature)


def _linked(present: tuple[folder.Installed, ...]) -> Current | None:
    """What the link says where nothing else does: the pipeline that published its file, or a later one, wants it."""
    return next((Current(one.record.pipeline, one.path.name) for one in present if folder.CURRENT in one.links), None)


def _require_proven(place: str, proof: SignatureVerdict, asked: Asked) -> None:
    if proof.is_good or not asked.is_proof_needed:
        return
    if proof.reason in (UNSIGNED, NO_KEY):
        raise RefusedError(
            f"{place}: {proof.reason}; publish it anew with the site's key, or install it as it is: --unproven install"
        )
    raise DamagedError(f"{place}: {proof.reason}; was it replaced? Publish it anew")


def _require_no_older(
    place: str, record: PublicationRecord, asked: Asked, present: tuple[folder.Installed, ...]
) -> None:
    """A file with a good signature may be one of last year, put back by somebody."""
    if asked.fingerprint and record.container_checksum != asked.fingerprint and record.pipeline <= asked.pipeline:
        raise RefusedError(
            f"{place}: is not what pipeline {asked.pipeline} wants, but of pipeline {record.pipeline}; "
            "was an older file put back? Run the job that publishes it again"
        )
    there = next((one.record for one in present if record.file_name in one.links), None)
    if there and there.ref == record.ref and there.pipeline > record.pipeline:
        raise RefusedError(
            f"{place}: is of pipeline {record.pipeline}, and that of pipeline {there.pipeline} is installed; "
            f"was an older file put back? If it is wanted, remove the link {record.file_name} first"
        )


def install(store: S3Store, plan: InstallPlan, rules: Rules, cluster: str, progress: Progress, now: datetime) -> None:
    """Do what was planned; with a cluster's name also write down that it has the file.

    Raises `CouldNotAskError`, `NotThereError`, `FileAccessError` and `DamagedError`; what was installed before stays.
    """
    here, started = plan.path.parent, monotonic()
    if plan.downloads:
        folder.install(
            plan.path, plan.record, rules.modes, lambda descriptor: store.download(plan.stored, descriptor, progress)
        )
        logger.info("%s: installed, sha256 %s", plan.path, plan.record.sha256)
    else:
        # The same content can have been published again, for another branch.
        folder.write_record(plan.path, plan.record, rules.modes)
    folder.write_signature(plan.path, plan.signature, rules.modes)
    # Links lead to the old files until now, however long the download took.
    _set_links(plan, rules, now + timedelta(seconds=monotonic() - started))
    going = {removal.placed.place for removal in plan.removals}
    for one in folder.installed(here):
        # Somebody may have set a link to it meanwhile.
        if str(one.path) in going and not one.links:
            folder.remove(one)
    folder.remove_paths(folder.left_overs(here, now - LEFT_OVER_AFTER))
    if cluster:
        store.mark(f"{MARKERS}/{cluster}/{plan.record.file_name}", plan.record.to_metadata())
        for one in folder.installed(here):
            if folder.CURRENT in one.links:
                store.mark(f"{MARKERS}/{cluster}/{one.record.container}.{folder.CURRENT}", one.record.to_metadata())


def _set_links(plan: InstallPlan, rules: Rules, now: datetime) -> None:
    here, links = plan.path.parent, plan.links
    if folder.CURRENT in links and plan.current:
        said = read_current(here)
        if said and said.pipeline > plan.current.pipeline:
            # A newer one has spoken while this one was downloading.
            links -= {folder.CURRENT}
        else:
            write_current(here, plan.current, rules.modes)
    folder.leave((one for one in folder.installed(here) if one.links & links and one.path != plan.path), now)
    for name in sorted(links):
        folder.point(here / name, plan.path.name)


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
    newest: Placed, links: frozenset[str], present: tuple[folder.Installed, ...], rules: Rules, now: datetime
) -> tuple[SifRemoval, ...]:
    """What is superseded beyond the previous `keep`, and no link leads to, now or lately."""
    placed = [Placed(str(one.path), one.record) for one in present if folder.is_whole(one)]
    beyond = superseded(placed, newest, Retention(keep=rules.keep + 1, older_than_days=0), now)
    if rules.keep_days:
        limit = now - timedelta(days=rules.keep_days)
        free = {str(one.path) for one in present if not one.links and one.free_since < limit}
    else:
        free = {str(one.path) for one in present if one.links <= links}
    return tuple(removal for removal in beyond if removal.placed.place in free)
