"""How far a run is: which steps may start, which wait, which are lost. Pure; the driver tells it what happened.

A step waits until all that it needs is built. An engine that knows orders itself (Slurm, Flux, Ray) may be given a step
as soon as all that it needs was given to it; then `after` says which of them are not built yet.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from heapq import heappop, heappush
from typing import Final

from foundation.graph import Edges
from job_creator.builds.scheduling import urgency


class StepState(StrEnum):
    """Where a step is."""

    WAITING = "waiting"
    """To be given to an engine."""
    RUNNING = "running"
    """Given to an engine."""
    BUILT = "built"
    """The build cache has it now."""
    LOST = "lost"
    """It failed, or something that it needs did."""


class RunProgress:
    """The steps of a run, most urgent first: those before the longest chain of expected seconds."""

    def __init__(self, edges: Edges, seconds: Mapping[str, float], *, ahead: bool) -> None:
        """`ahead`: steps may be given to the engine while what they need is still running there."""
        self._edges = edges
        self._ahead = ahead
        self._order: Final = urgency(edges, seconds)
        self._place: Final = {step: index for index, step in enumerate(self._order)}
        self._above: dict[str, list[str]] = {step: [] for step in edges}
        for step in self._order:
            for need in edges[step]:
                self._above[need].append(step)
        self._states = dict.fromkeys(self._order, StepState.WAITING)
        self._blocked = {step: len(needs) for step, needs in edges.items()}
        """How many needs keep a step from being given to the engine."""
        self._startable = {self._place[step] for step in self._order if not self._blocked[step]}
        self._heap = sorted(self._startable)
        """All that could be started once; what cannot any more is passed over."""
        self._open = len(edges)

    @property
    def is_done(self) -> bool:
        """Whether every step is built or lost."""
        return not self._open

    @property
    def startable(self) -> int:
        """How many steps could be given to the engine now."""
        return len(self._startable)

    def state(self, step: str) -> StepState:
        """Where a step is."""
        return self._states[step]

    def next(self) -> str:
        """Take the most urgent step that can be given to the engine. Raises `IndexError` if there is none."""
        place = heappop(self._heap)
        while place not in self._startable:
            place = heappop(self._heap)
        self._startable.remove(place)
        step = self._order[place]
        self._states[step] = StepState.RUNNING
        if self._ahead:
            self._unblock(step)
        return step

    def after(self, step: str) -> tuple[str, ...]:
        """Which steps it has to wait for: what it needs and is not built yet, by name."""
        return tuple(sorted(need for need in self._edges[step] if self._states[need] is not StepState.BUILT))

    def built(self, step: str) -> None:
        """A step that was running is done."""
        self._states[step] = StepState.BUILT
        self._open -= 1
        if not self._ahead:
            self._unblock(step)

    def again(self, step: str) -> bool:
        """Give a step that was running to the engine once more; false if something that it needs is lost."""
        if any(self._states[need] is StepState.LOST for need in self._edges[step]):
            return False
        self._states[step] = StepState.WAITING
        if self._ahead:
            for above in self._above[step]:
                self._blocked[above] += 1
                self._startable.discard(self._place[above])
            given = [need for need in self._edges[step] if self._states[need] is not StepState.WAITING]
            self._blocked[step] = len(self._edges[step]) - len(given)
        if not self._blocked[step]:
            self._offer(step)
        return True

    def lost(self, step: str) -> Iterator[tuple[str, str]]:
        """A step that was running failed. Steps that will never be given to an engine now, each with what it lacks.

        They are lost as well. Steps that are with the engine already are not among them: it says itself what becomes of
        them.
        """
        self._lose(step)
        waiting = [step]
        while waiting:
            lacking = waiting.pop()
            for above in self._above[lacking]:
                if self._states[above] is StepState.WAITING:
                    self._lose(above)
                    waiting.append(above)
                    yield above, lacking

    def lacks(self, step: str) -> str:
        """The first step that it needs and that is lost; empty if there is none."""
        return next((need for need in sorted(self._edges[step]) if self._states[need] is StepState.LOST), "")

    def _lose(self, step: str) -> None:
        self._startable.discard(self._place[step])
        self._states[step] = StepState.LOST
        self._open -= 1

    def _unblock(self, step: str) -> None:
        for above in self._above[step]:
            self._blocked[above] -= 1
            if not self._blocked[above] and self._states[above] is StepState.WAITING:
                self._offer(above)

    def _offer(self, step: str) -> None:
        self._startable.add(self._place[step])
        heappush(self._heap, self._place[step])
