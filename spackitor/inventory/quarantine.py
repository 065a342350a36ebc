"""What was removed and can still be brought back.

What Spack finds specs by (manifests, spec files: small) is copied into the quarantine before it is deleted. What these
lead to (archives, blobs: all the bytes) stays where it is for the time of grace, only listed in the record of the run:
nothing leads Spack to it any more, and no gigabyte is moved twice.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from foundation.errors import DamagedError
from foundation.stores.documents import json_of, seconds_of, texts_of
from foundation.stores.store import SPACKITOR_FOLDER, Content

RUNS_FOLDER: Final = f"{SPACKITOR_FOLDER}runs/"
QUARANTINE_FOLDER: Final = f"{SPACKITOR_FOLDER}quarantine/"
CLEAN_SOURCES: Final = "clean --sources"
"""The command in the records of runs that removed sources."""
_SUFFIX: Final = ".removed"
_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Run:
    """The record of a run that removed something: written before its first effect, and again after its last.

    `moved` are the original keys of what went into the quarantine, `left` those of what stays in place until `until`
    (seconds since 1970). `is_finished` is false for a run that was interrupted.
    """

    id: str
    command: str
    until: float
    moved: tuple[str, ...]
    left: tuple[str, ...]
    hashes: tuple[str, ...]
    size: int
    """The bytes of everything that it removed."""
    is_finished: bool = False
    views: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The DAG hashes that it took out of views, by the key of the view."""
    indexes: tuple[str, ...] = ()
    """The keys of the indexes before the run, which have the records of what it removed: among what it left, or copies
    in the quarantine of those that are written anew in their place."""
    is_readable: bool = True
    """Otherwise only what is in its quarantine is known."""

    @property
    def is_of_sources(self) -> bool:
        """Whether it removed sources, not binaries."""
        return self.command == CLEAN_SOURCES

    @property
    def key(self) -> str:
        """Where the record is stored."""
        return f"{RUNS_FOLDER}{self.id}.json"

    def quarantined(self, key: str) -> str:
        """Where the copy of an object of this run is."""
        return f"{QUARANTINE_FOLDER}{self.id}/{key}{_SUFFIX}"

    @property
    def index_copies(self) -> tuple[str, ...]:
        """Those of `indexes` that are copies, for this run alone."""
        return tuple(key for key in self.indexes if key.startswith(QUARANTINE_FOLDER))

    def is_over(self, now: float) -> bool:
        """Whether the time of grace has passed."""
        return self.until <= now


def original_of(run: str, copy: str) -> str:
    """The key that an object in the quarantine of a run had."""
    return copy.removeprefix(f"{QUARANTINE_FOLDER}{run}/").removesuffix(_SUFFIX)


def run_id(now: float, letters: str) -> str:
    """The name of a run: when it was, and a few letters against two in one second."""
    return f"{datetime.fromtimestamp(now, UTC):%Y%m%dT%H%M%SZ}-{letters}"


def run_as_json(run: Run) -> bytes:
    """The record as it is stored."""
    value = {
        "version": _VERSION,
        "id": run.id,
        "command": run.command,
        "until": run.until,
        "finished": run.is_finished,
        "size": run.size,
        "hashes": run.hashes,
        "moved": run.moved,
        "left": run.left,
        "views": dict(run.views),
        "indexes": run.indexes,
    }
    return json.dumps(value, indent=0).encode()


def read_run(content: Content, place: str) -> Run:
    """Read a record. Raises `DamagedError`: without it, nobody knows what may not be deleted yet."""
    try:
        value = json_of(content.data)
        if value["version"] != _VERSION:
            raise DamagedError(f"{place}: written by a newer spackitor (version {value['version']!r})")
        return Run(
            str(value["id"]),
            str(value["command"]),
            seconds_of(value["until"]),
            texts_of(value["moved"]),
            texts_of(value["left"]),
            texts_of(value["hashes"]),
            int(value["size"]),
            bool(value["finished"]),
            {key: texts_of(hashes) for key, hashes in value.get("views", {}).items()},
            texts_of(value.get("indexes", [])),
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        raise DamagedError(f"{place}: not a record of a run (is it truncated?)") from None


def spared(runs: Iterable[Run], now: float) -> frozenset[str]:
    """The keys of what has to stay in place because it may still be brought back."""
    return frozenset(key for run in runs if not run.is_over(now) for key in run.left)


def due(runs: Iterable[Run], now: float) -> frozenset[str]:
    """The keys of what may be deleted for good because its time of grace has passed."""
    every = tuple(runs)
    return frozenset(key for run in every if run.is_over(now) for key in run.left) - spared(every, now)
