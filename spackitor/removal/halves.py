"""The half of a mirror that holds binaries, wherever it is: in a bucket, a folder or a registry."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol, cast

from foundation.errors import RefusedError
from foundation.stores.schemes import REGISTRY, kind_of
from foundation.stores.store import Store
from spackitor.inventory.inventory import Inventory
from spackitor.removal.binaries import Binaries
from spackitor.removal.effects import Half
from spackitor.survey.survey import survey

if TYPE_CHECKING:
    from foundation.registries.mirror_store import RegistryStore

logger = logging.getLogger(__name__)


class BinaryHalf(Half, Protocol):
    """Binaries, and all that was seen of them."""

    inventory: Inventory


def binaries_of(
    store: Store, stood: Mapping[str, frozenset[str]], *, may_be_empty: bool, is_dry_run: bool
) -> BinaryHalf:
    """The binaries of a mirror as they are now; `stood` is what earlier attempts took out of views.

    Raises what `survey` does and, unless it is a dry run, `RefusedError` for a registry that deletes nothing.
    """
    if kind_of(store.url) is not REGISTRY:
        return Binaries(store, survey(store, may_be_empty=may_be_empty), stood)
    # HTTP takes a quarter of a second to import, and buckets and folders need none of it.
    from spackitor.removal.registry import RegistryBinaries

    registry = cast("RegistryStore", store)
    if reason := registry.repository.why_not_deleted():
        problem = f"{store.url}: nothing can be removed there, the registry refuses to delete manifests: {reason}"
        if not is_dry_run:
            raise RefusedError(problem)
        logger.warning("%s", problem)
    return RegistryBinaries(registry, survey(store, may_be_empty=may_be_empty).inventory)
