"""The engine of Ray: a task for each step, on any node of a cluster, after those that it waits for."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from foundation.doors.processes import ProcessError, conversation
from foundation.errors import CouldNotAskError
from job_creator.engines.engine import CORES, EndingKind, StepEnding, StepWork
from job_creator.engines.ray.cluster import RayCluster, require_ray

INSIDE: Final = Path(__file__).with_name("inside_ray.py")
NOT_STARTED: Final = -1
"""The code of a step that was cancelled with one before it; see `inside_ray.py`."""
_MARGIN: Final = 120.0
"""Seconds more than its own limit, after which a step is given up: a machine that froze says nothing for ever."""

_SECONDS_BETWEEN_LOOKS: Final = 10.0


class RayEngine:
    """Runs steps as tasks of a cluster, which it starts first if that has parts. `folder` is where logs go."""

    name = "ray"
    holds_dependencies = True

    def __init__(self, cluster: RayCluster, folder: Path) -> None:
        require_ray()
        self._cluster = cluster
        self._stack = ExitStack()
        self._number = 0
        self._works: dict[str, StepWork] = {}
        """What has not ended, by id."""
        self._seen: dict[str, float] = {}
        """When it was seen first that a step had begun with its log."""
        self._looked = time.monotonic()
        argv = [sys.executable, str(INSIDE), cluster.address]
        talk = conversation(argv, environment=cluster.variables, log=folder / "ray-driver.log")
        self._say = self._stack.enter_context(talk)
        try:
            self.nodes = int(
                self._ask({"do": "start", "parts": cluster.parts, "tell": str(cluster.told or "")})["nodes"]
            )
        except BaseException:
            self.close()
            raise

    def room(self, waiting: int) -> int:
        """Ray takes all of them."""
        return waiting

    def submit(self, work: StepWork, after: Collection[str]) -> str:
        """Have a step run on a node with so many cores to spare. Raises `CouldNotAskError`."""
        self._number += 1
        id_ = f"{work.step.package}-{work.step.hash[:7]}-{self._number}"
        argv = [word.replace(CORES, str(work.cores)) for word in work.argv]
        asked = {"id": id_, "argv": argv, "environment": dict(work.environment), "log": str(work.log)}
        self._ask({"do": "submit", "cores": work.cores, "after": list(after), **asked})
        self._works[id_] = work
        return id_

    def poll(self, seconds: float) -> Iterator[StepEnding]:
        """What has ended. Raises `CouldNotAskError`."""
        for id_, code, detail in self._ask({"do": "poll", "seconds": seconds})["ended"]:
            # What was given up may still be heard of.
            if self._works.pop(id_, None) is not None:
                yield _ending(id_, code, detail)
        yield from self._given_up()

    def cancel(self, ids: Collection[str]) -> None:
        """End steps, with all that they started. Raises `CouldNotAskError`."""
        self._ask({"do": "cancel", "ids": list(ids)})

    def close(self) -> None:
        """End the cluster, if it was started here; what still runs ends with it."""
        self._stack.close()
        if self._cluster.parts:
            shutil.rmtree(self._cluster.folder, ignore_errors=True)

    def _given_up(self) -> Iterator[StepEnding]:
        """Steps that should have ended themselves long ago. Their machine froze, which Ray does not tell."""
        now = time.monotonic()
        if now - self._looked < _SECONDS_BETWEEN_LOOKS:
            return
        self._looked = now
        for id_, work in list(self._works.items()):
            if id_ not in self._seen and work.log.exists():
                self._seen[id_] = now
            if now > self._seen.get(id_, now) + work.seconds + _MARGIN:
                del self._works[id_]
                self.cancel([id_])
                yield StepEnding(id_, EndingKind.OUT_OF_TIME, "and nothing was heard of it")

    def _ask(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = json.loads(self._say(json.dumps(asked)))
        except (ProcessError, ValueError) as error:
            raise CouldNotAskError(f"Ray gives no answer: {error}") from None
        return answer


def _ending(id_: str, code: int | None, detail: str) -> StepEnding:
    if code is None:
        return StepEnding(id_, EndingKind.LOST, detail)
    if code == NOT_STARTED:
        return StepEnding(id_, EndingKind.CANCELLED, detail)
    return StepEnding(id_, EndingKind.DONE if code == 0 else EndingKind.FAILED, f"exit code {code}")
