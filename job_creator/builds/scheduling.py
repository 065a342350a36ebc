"""How long steps take with so many runners, each of which takes the most urgent step that is ready. Plain and quick."""

from __future__ import annotations

from collections.abc import Mapping
from heapq import heapify, heappop, heappush

from foundation.graph import Edges, remaining_times


def urgency(edges: Edges, seconds: Mapping[str, float]) -> tuple[str, ...]:
    """The steps in the order in which runners should take them: before the longest chain first, then by name."""
    rest = remaining_times(edges, seconds)
    return tuple(sorted(edges, key=lambda step: (-rest[step], step)))


def makespan(order: tuple[str, ...], edges: Edges, seconds: Mapping[str, float], runners: int) -> float:
    """When the last step is done, in seconds; the first of `order` that is ready is taken first."""
    place = {step: index for index, step in enumerate(order)}
    waits = [len(edges[step]) for step in order]
    above: list[list[int]] = [[] for _ in order]
    for step in order:
        for need in edges[step]:
            above[place[need]].append(place[step])
    taken = [seconds[step] for step in order]
    ready = [index for index, count in enumerate(waits) if not count]
    heapify(ready)
    running: list[tuple[float, int]] = []
    now = 0.0
    while ready or running:
        while ready and len(running) < runners:
            index = heappop(ready)
            heappush(running, (now + taken[index], index))
        now, done = heappop(running)
        for index in above[done]:
            waits[index] -= 1
            if not waits[index]:
                heappush(ready, index)
    return now
