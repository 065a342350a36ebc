"""What publishing does, as people read it in a terminal or a job log, and as machines do; progress of transfers."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from job_creator.adapters.multipart import Progress
from job_creator.retention import Removal
from job_creator.tables import new_table

SECONDS_BETWEEN_LINES: Final = 10.0
_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB")

logger = logging.getLogger(__name__)


def print_removals(removals: Sequence[Removal], console: Console) -> None:
    """What goes: a table on a terminal, one line each elsewhere."""
    rows = [
        (what(removal), removal.placed.record.ref, shown_size(size_of(removal)), removal.reason) for removal in removals
    ]
    if console.is_terminal and rows:
        table = new_table(("remove", "ref", "size", "why"))
        for place, ref, size, reason in rows:
            table.add_row(Text(place, style="red"), Text(ref), size, Text(reason))
        console.print(table)
        return
    for place, _, size, reason in rows:
        console.print(f"remove {place} ({size}): {reason}", markup=False, highlight=False, soft_wrap=True)


def what(removal: Removal) -> str:
    """What goes, in words."""
    return f"{removal.placed.place} (marker)" if removal.placed.is_marker else removal.placed.place


def size_of(removal: Removal) -> int:
    """The bytes that a removal frees."""
    return 0 if removal.placed.is_marker else removal.placed.record.size


def shown_size(size: float) -> str:
    """A number of bytes for people: `1.9 GiB`."""
    for unit in _UNITS:
        if size < 1024 or unit == _UNITS[-1]:
            break
        size /= 1024
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"


def removals_as_values(removals: Iterable[Removal]) -> list[dict[str, Any]]:
    """Removals for JSON."""
    return [
        {
            "place": removal.placed.place,
            "ref": removal.placed.record.ref,
            "bytes": size_of(removal),
            "marker": removal.placed.is_marker,
            "reason": removal.reason,
        }
        for removal in removals
    ]


def as_json(value: Mapping[str, Any]) -> str:
    """A result for machines."""
    return json.dumps(value, indent=2)


@contextmanager
def progress(doing: str, total: int, *, quiet: bool, seconds: float = SECONDS_BETWEEN_LINES) -> Iterator[Progress]:
    """A bar on a terminal, a line every so many seconds elsewhere, both on stderr; nothing for a `total` of 0 bytes."""
    console = Console(stderr=True)
    if not total:
        yield lambda _: None
        return
    if quiet or not console.is_terminal:
        yield _Lines(doing, total, seconds)
        return
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(True), TransferSpeedColumn())
    with Bar(*columns, TimeRemainingColumn(), console=console) as bar:
        task = bar.add_task(doing, total=total)
        yield lambda size: bar.advance(task, size)


class _Lines:
    """Logs how far a transfer is, not more often than every so many seconds."""

    def __init__(self, doing: str, total: int, seconds: float) -> None:
        self._doing, self._total, self._done, self._seconds = doing, total, 0, seconds
        self._last = time.monotonic()
        self._lock = threading.Lock()

    def __call__(self, size: int) -> None:
        with self._lock:
            self._done += size
            now = time.monotonic()
            if now - self._last < self._seconds:
                return
            self._last, done = now, self._done
        logger.info("%s: %s of %s", self._doing, shown_size(done), shown_size(self._total))
