"""What spackitor itself keeps in a mirror: the records of earlier runs, and the roots."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable
from dataclasses import replace

from foundation.errors import DamagedError, NotThereError
from foundation.spack import layout_v2, layout_v3
from foundation.stores.store import SPACKITOR_FOLDER, Content, Store, read_all
from spackitor.inventory.quarantine import CLEAN_SOURCES, QUARANTINE_FOLDER, RUNS_FOLDER, Run, original_of, read_run
from spackitor.inventory.roots import ROOTS_FOLDER, RootSet, name_of, read_root_set
from spackitor.inventory.sources import ARCHIVES

logger = logging.getLogger(__name__)


def read_side_folder(store: Store) -> tuple[tuple[Run, ...], tuple[RootSet, ...]]:
    """The records of earlier runs and the root sets.

    What cannot be read is told of and marked. Of such a run, its copies in the quarantine are known; how long they have
    to be kept, and what else it left in place, is not.
    """
    keys = [one.key for folder in (RUNS_FOLDER, ROOTS_FOLDER) for one in store.list(folder)]
    contents = {key: content for key, content in read_all(store, keys) if content is not None}
    runs = [_run(store, key, contents[key]) for key in sorted(contents) if key.startswith(RUNS_FOLDER)]
    roots = [_root_set(contents[key], key) for key in sorted(contents) if key.startswith(ROOTS_FOLDER)]
    return tuple(runs), tuple(roots)


def require_something(store: Store, folders: Iterable[str], *, may_be_empty: bool) -> None:
    """Raise `NotThereError` for a mirror with no folder but this one, unless it may be empty: is it the right one?"""
    if not may_be_empty and not set(folders) - {SPACKITOR_FOLDER.rstrip("/")}:
        raise NotThereError(
            f"{store.url}: there is nothing in it; is that the right prefix? If it may be empty, say --may-be-empty"
        )


def _run(store: Store, key: str, content: Content) -> Run:
    place = f"{store.url}/{key}"
    try:
        return read_run(content, place)
    except DamagedError as error:
        logger.warning(
            "%s; what belongs to nothing is left alone meanwhile, since that run may have left it. 'spackitor restore' "
            "brings back what is in its quarantine, 'spackitor empty-quarantine --all' gives it up",
            error,
        )
    name = key.removeprefix(RUNS_FOLDER).removesuffix(".json")
    every = tuple(original_of(name, one.key) for one in store.list(f"{QUARANTINE_FOLDER}{name}/"))
    copies = tuple(key for key in every if key != layout_v2.INDEX)
    command = CLEAN_SOURCES if any(copy.startswith(ARCHIVES) for copy in copies) else "unknown"
    hashes = [layout_v3.hash_of(copy) or layout_v2.hash_of(copy) for copy in copies]
    run = Run(name, command, math.inf, copies, (), tuple(filter(None, hashes)), 0, is_readable=False)
    return replace(run, indexes=tuple(run.quarantined(key) for key in every if key not in copies))


def _root_set(content: Content, key: str) -> RootSet:
    try:
        return read_root_set(content, key)
    except DamagedError as error:
        logger.warning("%s", error)
        return RootSet(name_of(key), (), damage=str(error))
