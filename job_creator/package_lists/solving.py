"""Has Spack concretize many wishes, each by itself: some processes at once, each with many of them in turn.

Every worker is a process of Spack with a user's cache of its own, since two that make the indexes of one cache get in
each other's way (spack#33547). One makes them, the others get a copy: the first solve with an empty cache is slow.
"""

from __future__ import annotations

import json
import logging
import queue
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from foundation.doors.files import read_file, write_files
from foundation.doors.processes import OutOfTimeError, ProcessError, without_credentials
from foundation.errors import CouldNotAskError, naming
from foundation.spack.program import SpackProgram
from foundation.spack.releases import Novelty, SpackLine
from foundation.yaml_io import dump
from job_creator.package_lists.classes import class_of
from job_creator.package_lists.folder import LockFailure, LockWish

SCRIPT: Final = Path(__file__).parent / "inside_spack.py"
_WARM_SECONDS: Final = 3600.0
_DESCRIBE_SECONDS: Final = 1800.0
_SOLVES_PER_PROCESS: Final = 200
"""Then a worker begins anew: what the solver has in memory grows with each solve."""
_LOCKFILE: Final = "spack.lock"

logger = logging.getLogger(__name__)

Locked = Callable[[str, bytes], None]
"""Takes the name of a wish and its lockfile."""
Failed = Callable[[LockFailure], None]


@dataclass(frozen=True)
class DescribedSpack:
    """What a Spack says before it solves anything."""

    version: str
    bootstrap: str
    """The folder of its own solver, which workers share."""
    specs: tuple[str, ...]
    """What the environment names, its lists and matrices resolved."""

    @property
    def line(self) -> SpackLine:
        """Its release line. Raises `ValueError` for one that is not supported."""
        return SpackLine.parse(".".join(self.version.split(".")[:2]))


def describe(spack: SpackProgram, section: Mapping[str, Any], folder: Path) -> DescribedSpack:
    """Ask a Spack about itself and an environment, in a folder that is made. Raises `CouldNotAskError`."""
    write_files(folder, {"spack.yaml": dump({"spack": section}).encode()})
    try:
        spack.python(SCRIPT, "describe", str(folder), str(folder / "answer"), seconds=_DESCRIBE_SECONDS)
        answer = json.loads(read_file(folder / "answer"))
        return DescribedSpack(answer["version"], answer["bootstrap"], tuple(answer["specs"]))
    except (ProcessError, ValueError, KeyError) as error:
        raise CouldNotAskError(f"Spack could not say what the definition names: {error}") from None


@dataclass(frozen=True)
class Solvers:
    """Processes of a Spack that concretize, and what they need."""

    spack: SpackProgram
    section: Mapping[str, Any]
    """What all environments have in common."""
    described: DescribedSpack
    folder: Path
    """For caches and logs; what is there already is used."""
    jobs: int
    seconds: float
    """That one solve may take."""
    before: tuple[str, ...] = ()
    """Words before each worker's Spack, that have it run on another machine, which sees the same folders."""
    stopping: threading.Event = field(default_factory=threading.Event)

    def run(self, wishes: Sequence[LockWish], locked: Locked, failed: Failed) -> None:
        """Solve all; hand on each result at once, one at a time, from any thread.

        Raises what the two functions raise, and `CouldNotAskError` if Spack does not start.
        """
        if not wishes:
            return
        self._warm_up()
        waiting: queue.SimpleQueue[LockWish] = queue.SimpleQueue()
        for wish in wishes:
            waiting.put(wish)
        hand_on = _HandOn(locked, failed)
        # As daemons, they keep nobody who presses Ctrl-C; their Spacks end with this process's end of the pipes.
        threads = [
            threading.Thread(target=self._work, args=(number, waiting, hand_on), daemon=True)
            for number in range(min(self.jobs, len(wishes)))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if hand_on.error:
            raise hand_on.error

    def _work(self, number: int, waiting: queue.SimpleQueue[LockWish], hand_on: _HandOn) -> None:
        try:
            while not self.stopping.is_set():
                with self._session(number) as solve:
                    for _ in range(_SOLVES_PER_PROCESS):
                        wish = waiting.get_nowait()
                        answer = solve(wish)
                        hand_on(wish, answer)
                        if self.stopping.is_set() or answer.is_over:
                            break
        except queue.Empty:
            pass
        except BaseException as error:  # noqa: BLE001 - the one who waits for all threads raises it
            hand_on.error = hand_on.error or error
            self.stopping.set()

    @contextmanager
    def _session(self, number: int) -> Iterator[Callable[[LockWish], _Solved]]:
        """A worker; the function solves one wish."""
        folder = self.folder / f"worker-{number}"
        environment, log = folder / "environment", folder / "log"
        self._prepare(folder)
        with ExitStack() as stack:
            spack = replace(self._spack(folder), before=self.before)
            ask = stack.enter_context(spack.talk(SCRIPT, "solve", log=log, seconds=self.seconds))

            def solve(wish: LockWish) -> _Solved:
                (environment / _LOCKFILE).unlink(missing_ok=True)
                manifest = {"spack": {**self.section, "specs": list(wish.specs)}}
                write_files(environment, {"spack.yaml": dump(manifest).encode()})
                start = time.monotonic()
                try:
                    answer = json.loads(ask(str(environment)))
                    failure = (class_of(answer["kinds"], answer["message"]), answer["message"]) if answer else None
                    lock = b"" if failure else read_file(environment / _LOCKFILE)
                    return _Solved(lock, failure, time.monotonic() - start)
                except OutOfTimeError:
                    message = f"not concretized within {self.seconds:g} seconds"
                    return _Solved(b"", ("time-out", message), time.monotonic() - start, is_over=True)
                except (ProcessError, ValueError) as error:
                    return _Solved(b"", ("crash", str(error)), time.monotonic() - start, is_over=True)

            yield solve

    def _warm_up(self) -> None:
        """Make the user's cache that workers copy, unless a run before has made it."""
        warm = self.folder / "warm"
        if (warm / "done").is_file():
            return
        logger.info("Spack reads all recipes once")
        self._write_scope(warm)
        log = warm / "log"
        try:
            with self._spack(warm).talk(SCRIPT, "solve", log=log, seconds=_WARM_SECONDS) as ask:
                ask("")
        except ProcessError as error:
            raise CouldNotAskError(f"Spack could not read its recipes: {error}") from None
        write_files(warm, {"done": b""})

    def _prepare(self, folder: Path) -> None:
        if not (folder / "cache").is_dir():
            with naming(folder):
                shutil.copytree(self.folder / "warm" / "cache", folder / "cache.new", dirs_exist_ok=True)
                (folder / "cache.new").rename(folder / "cache")
        self._write_scope(folder)

    def _write_scope(self, folder: Path) -> None:
        """Configuration of a worker: its own cache, the solver of all, and the memory of solves where Spack has one."""
        (folder / "cache").mkdir(parents=True, exist_ok=True)
        scope: dict[str, Any] = {"config.yaml": {"config": {"misc_cache": str(folder / "cache" / "cache")}}}
        scope["bootstrap.yaml"] = {"bootstrap": {"root": self.described.bootstrap}}
        if self.described.line.has(Novelty.CONCRETIZATION_CACHE):
            kept = {"enable": True, "url": str(self.folder / "concretizations")}
            scope["concretizer.yaml"] = {"concretizer": {"concretization_cache": kept}}
        write_files(folder / "scope", {name: dump(content).encode() for name, content in scope.items()})

    def _spack(self, folder: Path) -> SpackProgram:
        variables = {**self.spack.variables, "SPACK_USER_CACHE_PATH": str(folder / "cache")}
        return replace(self.spack, variables=variables).with_scope(folder / "scope")


@dataclass(frozen=True, slots=True)
class _Solved:
    """What became of a wish."""

    lock: bytes
    failure: tuple[str, str] | None
    """Class and message."""
    seconds: float
    is_over: bool = False
    """Whether the worker's process has ended with it."""


class _HandOn:
    """Hands results on, one at a time."""

    def __init__(self, locked: Locked, failed: Failed) -> None:
        self._locked, self._failed = locked, failed
        self._lock = threading.Lock()
        self.error: BaseException | None = None

    def __call__(self, wish: LockWish, solved: _Solved) -> None:
        with self._lock:
            if solved.failure is None:
                self._locked(wish.name, solved.lock)
                return
            kind, message = solved.failure
            seconds = round(solved.seconds, 1)
            self._failed(LockFailure(wish.name, wish.specs, kind, without_credentials(message), seconds))
