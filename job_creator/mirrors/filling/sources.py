"""Filling a mirror with sources: Spack fetches them into a staging folder, and what is complete gets its final name.

A run can be ended anywhere. What it had fetched, the next one finds: in the mirror, in the folder, or half of it in the
folder that Spack fetches into.
"""

from __future__ import annotations

import fcntl
import json
import logging
import queue
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from foundation.doors.blocks import sha256
from foundation.doors.processes import ProcessError
from foundation.errors import CouldNotAskError, naming
from foundation.spack.program import SpackProgram
from foundation.spack.source_needs import NEEDS_KEY, SourceNeeds, read_needs
from foundation.stores.store import ChangedError
from job_creator.mirrors.filling.destinations import Destination
from job_creator.mirrors.needs.plan import MirrorItem
from job_creator.mirrors.needs.questions import SCRIPT

_ATTEMPTS: Final = 10

logger = logging.getLogger(__name__)

Done = Callable[["ItemOutcome"], None]


@dataclass(frozen=True, slots=True)
class ItemOutcome:
    """What became of an item; `problem` is empty if it is in the mirror now."""

    item: MirrorItem
    problem: str = ""


def fill(
    spack: SpackProgram, environment: Path, destination: Destination, items: Sequence[MirrorItem], jobs: int, done: Done
) -> tuple[ItemOutcome, ...]:
    """Fetch what is missing, `jobs` at once; what could not be fetched says why. `done` hears of each, from any thread.

    `environment` has a lockfile with all packages of the items. Raises `CouldNotAskError` if Spack does not run.
    """
    with _locked(destination.staging) as lock:
        files = destination.staging / "files"
        left = [item for item in items if not _adopt(destination, files, item, done)]
        found = _fetch(spack, environment, destination, left, jobs, done, lock)
        for folder in ("files", "stage", "scope"):
            shutil.rmtree(destination.staging / folder, ignore_errors=True)
    adopted = [ItemOutcome(item) for item in items if item not in left]
    return (*adopted, *found)


def _adopt(destination: Destination, files: Path, item: MirrorItem, done: Done) -> bool:
    """Whether an earlier run that was ended had fetched this; then it is put into the mirror."""
    staged = files / item.path
    with naming(staged):
        if not staged.is_file():
            return False
        if not item.source or not item.source.sha256 or sha256(staged) != item.source.sha256:
            staged.unlink()
            return False
    destination.put(staged, item.path, item.source.links)
    done(ItemOutcome(item))
    return True


def _fetch(
    spack: SpackProgram,
    environment: Path,
    destination: Destination,
    items: Sequence[MirrorItem],
    jobs: int,
    done: Done,
    lock: int | None,
) -> list[ItemOutcome]:
    waiting: queue.SimpleQueue[MirrorItem] = queue.SimpleQueue()
    for item in items:
        waiting.put(item)
    with naming(destination.staging):
        scope = destination.staging / "scope"
        scope.mkdir(exist_ok=True)
        stage = json.dumps({"config": {"build_stage": [str(destination.staging / "stage")]}})
        (scope / "config.yaml").write_text(stage, encoding="utf-8")
    inside = spack.with_scope(scope)
    outcomes: list[ItemOutcome] = []

    def work(number: int) -> None:
        log = destination.staging / f"spack-{number}.log"
        arguments = ("fetch", str(environment), str(destination.staging / "files"))
        with inside.talk(SCRIPT, *arguments, log=log, holds=() if lock is None else (lock,)) as ask:
            while True:
                try:
                    item = waiting.get_nowait()
                except queue.Empty:
                    return
                outcome = ItemOutcome(item, _fetch_one(destination, item, ask))
                outcomes.append(outcome)
                done(outcome)

    with ThreadPoolExecutor(jobs) as pool:
        futures = [pool.submit(work, number) for number in range(min(jobs, len(items)))]
        try:
            for future in futures:
                future.result()
        except ProcessError as error:
            raise CouldNotAskError(f"fetching: {error}") from None
        finally:
            # Whoever interrupts this waits for what is being fetched, not for all the rest.
            with suppress(queue.Empty):
                while True:
                    waiting.get_nowait()
    return outcomes


def _fetch_one(destination: Destination, item: MirrorItem, ask: Callable[[str], str]) -> str:
    """Have one thing fetched and put into the mirror; returns what went wrong."""
    problem = str(json.loads(ask(json.dumps([item.packages[0].hash, item.path]))))
    if problem or not item.source:
        return problem
    staged = destination.staging / "files" / item.path
    if item.source.sha256:
        # Spack has looked as well, but before it made this copy.
        found = sha256(staged)
        if found != item.source.sha256:
            staged.unlink()
            return f"what was fetched has the sha256 {found}"
    destination.put(staged, item.path, item.source.links)
    return ""


def record_needs(destination: Destination, needs: SourceNeeds) -> None:
    """Note in the mirror what it was filled for, beside what it was filled for before.

    Raises `CouldNotAskError` if other runs change the note each time, and `DamagedError` if it cannot be read.
    """
    for _ in range(_ATTEMPTS):
        old = destination.store.read(NEEDS_KEY)
        merged = read_needs(old.data, f"{destination.url}/{NEEDS_KEY}").merged(needs) if old else needs
        if old and old.data == merged.as_json():
            return
        with suppress(ChangedError):
            destination.store.write(NEEDS_KEY, merged.as_json(), replaces=old.tag if old else None, no_cache=True)
            return
    raise CouldNotAskError(f"{destination.url}/{NEEDS_KEY}: is being written by others all the time; run this again")


@contextmanager
def _locked(staging: Path) -> Iterator[int | None]:
    """One run at a time in a staging folder. The Spacks that it starts keep the lock, so that the next run waits for
    those that outlive a run that was killed."""
    with naming(staging):
        staging.mkdir(parents=True, exist_ok=True)
        stream = (staging / "lock").open("ab")
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            logger.warning("%s: another run of yours is filling this mirror; waiting for it to end", staging)
            fcntl.flock(stream, fcntl.LOCK_EX)
        except OSError as error:
            logger.warning("%s: cannot be locked (%s); let only one run fill this mirror", staging, error.strerror)
            yield None
            return
        yield stream.fileno()


def tidy(staging: Path) -> None:
    """Remove a staging folder, and those above it that are empty then; but not while another run is at work in it."""
    with suppress(OSError), (staging / "lock").open("ab") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(staging)
        staging.parent.rmdir()
        staging.parent.parent.rmdir()
