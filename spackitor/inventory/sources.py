"""The sources in a mirror, as values: archives, the readable names that lead to them, and who needs what.

Source of the layout: lib/spack/spack/mirrors/layout.py of Spack v1.1.0, and `foundation/spack/source_needs.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from foundation.spack.source_needs import SourceNeeds
from foundation.stores.store import StoredObject
from spackitor.inventory.quarantine import Run
from spackitor.inventory.roots import RootSet

ARCHIVES: Final = "_source-cache/"


@dataclass(frozen=True)
class SourceInventory:
    """All sources at one moment. `needs_tag` is the tag of the record of who needs what, `None` if there is none."""

    url: str
    now: float
    """By the store's clock, in seconds since 1970."""
    archives: tuple[StoredObject, ...]
    aliases: tuple[StoredObject, ...] = ()
    needs: SourceNeeds = field(default_factory=SourceNeeds)
    needs_tag: str | None = None
    runs: tuple[Run, ...] = ()
    roots: tuple[RootSet, ...] = ()

    @cached_property
    def users(self) -> Mapping[str, tuple[str, ...]]:
        """The DAG hashes of the packages that are recorded to need an archive, by its key."""
        found: dict[str, tuple[str, ...]] = {}
        for hash_, package in self.needs.packages.items():
            for source in package.sources:
                found[source.path] = (*found.get(source.path, ()), hash_)
        return found

    @cached_property
    def names(self) -> Mapping[str, tuple[StoredObject, ...]]:
        """The readable names of an archive, by its key: links that lead to it, and copies that the record tells of."""
        copies = {
            link: source.path
            for package in self.needs.packages.values()
            for source in package.sources
            for link in source.links
        }
        found: dict[str, tuple[StoredObject, ...]] = {}
        for one in self.aliases:
            target = one.leads_to or copies.get(one.key, "")
            found[target] = (*found.get(target, ()), one)
        return found

    def paths(self, hashes: frozenset[str]) -> frozenset[str]:
        """The keys, archives and readable names, of all that some packages need."""
        packages = [self.needs.packages[hash_] for hash_ in hashes if hash_ in self.needs.packages]
        sources = [source for package in packages for source in package.sources]
        return frozenset(key for source in sources for key in (source.path, *source.links))
