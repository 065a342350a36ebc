"""Walks from a parent pipeline to the pipelines that it triggered, and waits for them if asked to."""

from __future__ import annotations

import logging
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from foundation.errors import NotReadyError
from get_artifacts.family import Child, Family, PipelineId, latest
from get_artifacts.gitlab_api import Pipelines
from get_artifacts.selection import Chosen, WantedArtifacts, choose, is_named

logger = logging.getLogger(__name__)

_SLOWEST_POLL = 15.0
_FASTEST_POLL = 0.05


def discover(server: Pipelines, parent: PipelineId, wanted: WantedArtifacts) -> Family:
    """The bridges of a parent pipeline, and all pipelines below the wanted ones, their children included.

    Both lists of a pipeline are asked for at once.
    """
    bridges = latest(server.bridges(parent))
    chosen = tuple(bridge for bridge in bridges if is_named(bridge.name, wanted.bridges))
    children: dict[PipelineId, Child] = {}
    pending = deque(chosen)
    pool = ThreadPoolExecutor(max_workers=1)
    try:
        while pending:
            pipeline = pending.popleft().downstream
            if pipeline is None or pipeline in children:
                continue
            inner = pool.submit(server.bridges, pipeline)
            child = Child(pipeline, latest(server.jobs(pipeline)), latest(inner.result()))
            children[pipeline] = child
            pending.extend(child.bridges)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    return Family(parent, bridges, chosen, tuple(children.values()))


def wait_for(server: Pipelines, parent: PipelineId, wanted: WantedArtifacts, seconds: float) -> Chosen:
    """What there is to fetch, as soon as everything that is wanted has ended, for `seconds` at most.

    Raises what `choose` raises; `NotReadyError` only when the time is over.
    """
    end = time.monotonic() + seconds
    pause = min(_SLOWEST_POLL, max(_FASTEST_POLL, seconds / 20))
    while True:
        try:
            return choose(discover(server, parent, wanted), wanted, datetime.now(UTC))
        except NotReadyError as error:
            left = end - time.monotonic()
            if left <= 0:
                raise NotReadyError(f"{error}\n{_advice(seconds)}") from None
            logger.info("%s\nasking again for another %.0f s", error, left)
            time.sleep(min(pause, left))


def _advice(seconds: float) -> str:
    return f"waited {seconds:g} s" if seconds else "--wait SECONDS waits for them"
