"""How boldly steps are fused: as far as nothing takes longer for it, as far as durations are known.

Plans are tried from bold to careful: one that believes what is expected, where most of it was measured; one in which
all packages may as well take equally long; one that has to hold in random scenarios, too, and then with fewer packages
in a job. The first is taken that lengthens nothing by more than `LONGER` with what is expected, nor on average of
random scenarios that no plan has seen. Measured durations vary little in those; all others may be anything.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Final

from foundation.graph import Edges
from job_creator.builds.fusion import Alike, FusionRules, Groups, Seconds, fuse, quotient, seconds_of
from job_creator.builds.scheduling import makespan, urgency

RUNNERS: Final = (10, 40, 100, 1000)
LONGER: Final = 1.02
HEAVY: Final = 8
"""Random scenarios with heavy tails that careful plans are made for (Pareto, alpha = 1.1, 60 seconds at least)."""
EVEN: Final = 3
"""Those where what a package takes falls off exponentially, 200 seconds on average, besides its start."""
UNSEEN: Final = 4
"""Random scenarios of either kind that plans are judged by."""
NOISE: Final = 0.3
"""By how much measured durations vary: the deviation of their logarithms."""
FEWER: Final = (8, 3, 2)
"""Packages in one job, in plans that are tried where jobs with more of them took too long."""
QUICK: Final = 1500
"""Packages up to which everything is tried; of larger graphs fewer scenarios."""


@dataclass(frozen=True, slots=True)
class Fused:
    """The groups that were chosen, and by how many seconds all jobs together take less; both without start or end."""

    groups: Groups
    before: float
    after: float


class Judges:
    """What is expected, and random scenarios that no plan has seen, to hold two plans against each other."""

    def __init__(self, expected: Seconds, measured: Collection[str], start: float) -> None:
        number = max(1, UNSEEN // _effort(expected))
        self.start = start
        self.scenarios = [expected, *_random(expected, frozenset(measured), start, (number, number), "judge")]

    def of_groups(self, edges: Edges, groups: Groups) -> list[list[float]]:
        """For each scenario the makespans with so many runners, of jobs in the order of what is expected."""
        needs = quotient(edges, groups)
        jobs = [seconds_of(groups, seconds, self.start) for seconds in self.scenarios]
        order = urgency(needs, jobs[0])
        return [[makespan(order, needs, seconds, runners) for runners in RUNNERS] for seconds in jobs]


def holds(usual: Sequence[Sequence[float]], found: Sequence[Sequence[float]]) -> bool:
    """Whether what is expected, and all else on average, does not become longer with any number of runners."""
    ratios = [[after / before for before, after in zip(*pair, strict=True)] for pair in zip(usual, found, strict=True)]
    expected, *others = ratios
    average = [sum(column) / len(column) for column in zip(*others, strict=True)]
    return max(expected) <= LONGER and max(average) <= LONGER


def choose(edges: Edges, expected: Seconds, measured: Collection[str], rules: FusionRules, alike: Alike) -> Fused:
    """The boldest plan that lengthens nothing. `expected` are seconds by DAG hash, `measured` those that are known."""
    alone: Groups = tuple((step,) for step in urgency(edges, expected))
    total = sum(expected.values())
    known = frozenset(measured)
    if len(edges) < 2:
        return Fused(alone, total, total)
    judges = Judges(expected, known, rules.start)
    usual: list[list[float]] = []
    for scenarios, bound in _plans(edges, expected, known, rules):
        groups = fuse(edges, scenarios, bound, alike)
        if len(groups) == len(edges):
            continue
        usual = usual or judges.of_groups(edges, alone)
        if holds(usual, judges.of_groups(edges, groups)):
            return Fused(groups, total, sum(seconds_of(groups, expected, rules.start).values()))
    return Fused(alone, total, total)


def _effort(expected: Seconds) -> int:
    return max(1, len(expected) // QUICK)


def _plans(
    edges: Edges, expected: Seconds, known: Collection[str], rules: FusionRules
) -> Iterator[tuple[list[Seconds], FusionRules]]:
    """What plans have to hold in, and what their jobs may have, from bold to careful."""
    start, effort = rules.start, _effort(expected)
    bold = 2 * sum(step in known for step in edges) > len(edges)
    if bold:
        yield [expected], rules
    equal = {step: expected[step] if step in known else 2 * start for step in edges}
    if bold or effort == 1:
        yield [expected, equal], rules
    numbers = (max(1, HEAVY // effort), max(1, EVEN // effort))
    careful = [expected, equal, *_random(expected, known, start, numbers, "plan")]
    yield careful, rules
    for packages in FEWER if effort == 1 else ():
        yield careful, replace(rules, packages=min(packages, rules.packages))


def _random(
    expected: Seconds, known: Collection[str], start: float, numbers: tuple[int, int], seed: str
) -> Iterator[dict[str, float]]:
    """Scenarios with heavy tails, and even ones; always the same for one seed."""
    for number in range(sum(numbers)):
        chance = Random(f"{seed} {number}")  # noqa: S311 - the same scenarios every time
        heavy = number < numbers[0]
        yield {
            step: start + max(0.0, expected[step] - start) * chance.lognormvariate(0, NOISE)
            if step in known
            else max(start, 60 * chance.paretovariate(1.1))
            if heavy
            else start + chance.expovariate(1 / 200)
            for step in sorted(expected)
        }
