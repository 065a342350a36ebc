"""The engine of one machine: a process for each step, and the cores shared out among them."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from foundation.doors.processes import BackgroundProcess
from job_creator.engines.engine import CORES, EndingKind, StepEnding, StepWork
from job_creator.engines.local.jobserver import Jobserver

_GRACE: Final = 10.0
"""Seconds that a program has to end what it has started, when it is told to end."""
_MARGIN: Final = 60.0
"""Seconds more than its own time limit, after which a program is ended that does not end itself."""


@dataclass(frozen=True, slots=True)
class _Running:
    process: BackgroundProcess
    cores: int
    """Those that are held for it all the time; its make may have more."""
    until: float


class LocalEngine:
    """Runs steps on this machine with so many cores in all; `pipe` is where the pipe of the jobserver is made.

    A step whose make takes part in the jobserver holds one core, and takes more while some are free. Any other step
    holds its share of all cores from its start to its end.
    """

    name = "local"
    holds_dependencies = False

    def __init__(self, cores: int, pipe: Path) -> None:
        self._server = Jobserver(pipe, cores)
        self._waiting = 1
        self._has_core = False
        self._running: dict[str, _Running] = {}

    def room(self, waiting: int) -> int:
        """One step at a time, while a core is free."""
        self._waiting = waiting
        if not self._running and not self._has_core:
            self._server.fill()
        self._has_core = self._has_core or self._server.take()
        return int(self._has_core)

    def submit(self, work: StepWork, after: Collection[str]) -> str:
        """Start a step now; `room` has taken a core for it. `after` is empty: nobody is told to wait here."""
        held = 1
        share = 1 if work.joins_jobserver else self._server.cores // (len(self._running) + self._waiting)
        while held < min(share, work.cores) and self._server.take():
            held += 1
        own = {"MAKEFLAGS": self._server.makeflags} if work.joins_jobserver else {}
        usable = min(work.cores, self._server.cores) if work.joins_jobserver else held
        argv = [word.replace(CORES, str(usable)) for word in work.argv]
        process = BackgroundProcess(argv, environment={**work.environment, **own}, log=work.log)
        id_ = str(process.number)
        self._waiting -= 1
        self._has_core = False
        self._running[id_] = _Running(process, held, time.monotonic() + work.seconds + _MARGIN)
        return id_

    def poll(self, seconds: float) -> Iterator[StepEnding]:
        """What has ended."""
        if self._running:
            BackgroundProcess.wait([one.process for one in self._running.values()], seconds)
        now = time.monotonic()
        for id_, one in list(self._running.items()):
            code = one.process.exit_code()
            if code is not None:
                self._end(id_)
                yield _ending(id_, code)
            elif now > one.until:
                one.process.end(_GRACE)
                self._end(id_)
                yield StepEnding(id_, EndingKind.OUT_OF_TIME)

    def cancel(self, ids: Collection[str]) -> None:
        """End steps, with all that they started."""
        for id_ in ids:
            if id_ in self._running:
                self._running[id_].process.end(_GRACE)

    def close(self) -> None:
        """End all that is still running."""
        self.cancel(tuple(self._running))
        self._server.close()

    def _end(self, id_: str) -> None:
        for _ in range(self._running.pop(id_).cores):
            self._server.give()


def _ending(id_: str, code: int) -> StepEnding:
    if code < 0:
        return StepEnding(id_, EndingKind.LOST, f"ended by signal {-code}")
    return StepEnding(id_, EndingKind.DONE if code == 0 else EndingKind.FAILED, f"exit code {code}")
