"""What a mirror needs and has: asks Spack and the mirror, and the internet how large the rest is."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from foundation.errors import RefusedError
from foundation.registries.repository import OciRepository
from foundation.spack.source_needs import SourceNeeds
from job_creator.mirrors.needs.plan import MirrorItem, MirrorPlan, binary_items, source_items, usable_binaries
from job_creator.mirrors.needs.present_binaries import present_binaries
from job_creator.mirrors.needs.questions import Lock
from job_creator.mirrors.places import MirrorPlace, present

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class MirrorScope:
    """What a mirror is to hold; `private` mirrors may hold what may not be handed on."""

    sources: bool = True
    binaries: bool = False
    private: bool = False


def make_plan(locks: Sequence[Lock], needs: SourceNeeds, place: MirrorPlace | None, wanted: MirrorScope) -> MirrorPlan:
    """How the mirror, which need not be there yet, stands to what it is for.

    Raises `RefusedError`, `CouldNotAskError` and `FileAccessError`.
    """
    items: tuple[MirrorItem, ...] = ()
    if wanted.sources:
        if isinstance(place, OciRepository):
            raise RefusedError(f"{place.url}: registries hold binaries and no sources; say --no-sources --binaries")
        paths = {source.path for package in needs.packages.values() for source in package.sources if source.path}
        found = present(place, sorted(paths)) if place else {}
        items += source_items(needs, found, private=wanted.private)
    if wanted.binaries:
        usable = usable_binaries((lock.lockfile for lock in locks), needs, private=wanted.private)
        whole = present_binaries(place, usable, needs) if place else {}
        items += binary_items(needs, usable, whole, private=wanted.private)
    return MirrorPlan(needs, items)
