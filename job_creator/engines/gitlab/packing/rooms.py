"""How much a root and its children may hold, from hopeful to careful estimates."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final

from job_creator.engines.gitlab.packing.layout import Capacity, Room
from job_creator.engines.gitlab.sizes import PARSED_SIZE_SAFETY
from job_creator.site.gitlab import Limits

SHARES: Final = (1.4, 1.2, 1.05, 0.97, 0.9, 0.8, 0.65, 0.5, 0.35)
"""Of the room in a pipeline, by estimates that count more needs than a part will have."""
CAREFUL: Final = 0.97

MORE_CHILDREN: Final = 4
SOME_CHILDREN: Final = 16
"""So many children there may be for each one that is needed, and beside these: the more, the less is waited for."""
TRIGGER: Final = 1_500
"""What a trigger takes of the root, in bytes of parsed size."""


def rooms(limits: Limits, max_jobs: int | None, weights: Mapping[str, int], others: int, least: int) -> Iterator[Room]:
    """What pipelines may hold; of two estimates that make for the same number of pipelines the first is tried alone.

    `max_jobs` are package jobs in one pipeline, `weights` those of all, in bytes of parsed size. `others` counts the
    entries of the whole pipeline that are no packages; `least` is what any pipeline takes beside packages, in bytes.
    """
    sized = _Sized(limits, max_jobs or len(weights), len(weights), sum(weights.values()), others, least)
    tried = [(share, *sized.room(share)) for share in SHARES]
    for (share, parts, room), following in zip_longest(tried, tried[1:]):
        if share <= CAREFUL or following is None or following[1] != parts:
            yield room


@dataclass(frozen=True, slots=True)
class _Sized:
    """What is to be laid out: jobs of packages, their bytes, and other entries."""

    limits: Limits
    most: int
    number: int
    weight: int
    others: int
    least: int

    def room(self, share: float) -> tuple[int, Room]:
        """How many pipelines there have to be at least if so much of each can be used, and what each can hold."""
        size = self.limits.max_yaml_bytes / PARSED_SIZE_SAFETY - self.least
        every = self.number + self.others
        slots = self.limits.max_jobs or every
        jobs = min(self.most, int(slots * min(share, 1.0) * self.number / every))
        child = Capacity(max(1, jobs), max(1, int(size * share)))
        parts = max(math.ceil(self.number / child.jobs), math.ceil(self.weight / child.weight))
        children = MORE_CHILDREN * (parts - 1) + SOME_CHILDREN
        if self.limits.max_jobs is not None:
            children = max(parts, min(children, (slots - self.others) // 2))
        beside = int((slots - self.others) * min(share, 1.0)) - (children if self.limits.max_jobs is not None else 0)
        root = Capacity(max(0, min(self.most, beside)), max(0, int((size - TRIGGER * children) * share)))
        return parts, Room(root, child, children)
