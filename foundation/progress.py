"""How far work is that takes long: a bar on a terminal, lines in a log. Both go to stderr."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Protocol

from foundation.shown import shown_size

if TYPE_CHECKING:
    from rich.progress import Progress

SECONDS_BETWEEN_LINES: Final = 10.0
"""Of transfers; there is a line for each of counted things."""

StageProgress = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done and how much there is, in bytes or things. Called from one thread."""

logger = logging.getLogger(__name__)


class Advance(Protocol):
    """Says that `count` more bytes or things are done, and what became of them. Called from any thread."""

    def __call__(self, count: int, note: str = "") -> None:
        """Move on."""


class ProgressLines:
    """Logs how far work is, not more often than every so many seconds."""

    def __init__(self, doing: str, total: int, shown: Callable[[int], str] = str, seconds: float = 0.0) -> None:
        self._doing, self._total, self._shown, self._seconds = doing, total, shown, seconds
        self._done = 0
        self._last = time.monotonic()
        self._lock = threading.Lock()

    def __call__(self, count: int, note: str = "") -> None:
        """Move on, and log it if it is time."""
        with self._lock:
            self._done += count
            now = time.monotonic()
            if now - self._last < self._seconds:
                return
            self._last, done = now, self._done
        so_far = f"{self._shown(done)} of {self._shown(self._total)}"
        logger.info("%s", f"{self._doing} {so_far}: {note}" if note else f"{self._doing}: {so_far}")


@contextmanager
def transfer_progress(
    doing: str, total: int, *, quiet: bool, seconds: float = SECONDS_BETWEEN_LINES
) -> Iterator[Advance]:
    """A bar on a terminal, a line every so many seconds elsewhere; nothing for a `total` of 0 bytes."""
    from rich.console import Console

    console = Console(stderr=True)
    if not total:
        yield _nothing
        return
    if quiet or not console.is_terminal:
        yield ProgressLines(doing, total, shown_size, seconds)
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(True), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console) as bar:
        yield _advancing(bar, doing, total)


@contextmanager
def counted_progress(doing: str, total: int, *, quiet: bool) -> Iterator[Advance]:
    """A bar on a terminal, a line for each of `total` things elsewhere."""
    from rich.console import Console

    console = Console(stderr=True)
    if quiet or not console.is_terminal or not total:
        yield ProgressLines(doing, total)
        return
    from rich.progress import Progress

    with Progress(console=console) as bar:
        yield _advancing(bar, doing, total)


def _advancing(bar: Progress, doing: str, total: int) -> Advance:
    task = bar.add_task(doing, total=total)

    def advance(count: int, note: str = "") -> None:
        bar.advance(task, count)

    return advance


def _nothing(count: int, note: str = "") -> None:
    """Nothing moves."""
