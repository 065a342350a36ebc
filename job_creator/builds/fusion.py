"""Which packages share a job: those that are cheap, and lie together.

A job costs its start before it compiles anything. Packages of one job are built one after the other, and what depends
on any of them waits for all of them; so fusing saves starts, and may lengthen what everything waits for. Two sweeps
over the graph decide, one against its order and one along it. A step joins a group if

- the groups stay in an order: each has a rank above those of all that it needs, so nothing ever needs itself;
- the group's work stays below a bound, and its steps run alike (`Alike`);
- no deadline is missed, in any of several scenarios of how long steps take. The deadline of a step is when it can be
  done at the earliest, stretched so that every path through it just reaches `SHARE` of the critical path (paths that
  are longer are not stretched). A group starts at the latest deadline of what it needs, and has to meet the earliest of
  those of its steps that others need.

Deadlines are fixed before a sweep, so nothing is measured again when a group grows: n steps with m edges cost about
(n + m) · `LOOKED_AT` · scenarios.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import gt
from typing import Final

from foundation.graph import Edges, reduced, topological_order

SHARE: Final = 0.95
"""Of the critical path: so long may paths become."""
LOOKED_AT: Final = 64
"""The newest groups that a step may join without needing or being needed by one of them."""

SMALL: Final = 2000
"""Steps up to which that many are looked at."""
TOLERANCE: Final = 1e-6

Alike = Callable[[str], Hashable]
"""What steps must have in common to share a job, by DAG hash."""
Seconds = Mapping[str, float]
Groups = tuple[tuple[str, ...], ...]
"""DAG hashes of the steps of each job, in the order in which they run; each group after what it needs."""


@dataclass(frozen=True, slots=True)
class FusionRules:
    """What a job may hold."""

    start: float = 45.0
    """Seconds that a job takes before it builds anything; part of what each step is expected to take."""
    work: float = 900.0
    """Seconds of work of a job that builds several packages, its start aside."""
    packages: int = 16


def fuse(edges: Edges, scenarios: Sequence[Seconds], rules: FusionRules, alike: Alike) -> Groups:
    """Groups of steps; their quotient is acyclic. The first of the scenarios is what is expected.

    `scenarios` are seconds by DAG hash, starts included. Raises `GraphError` where the edges go round in a circle.
    """
    order = topological_order(edges)
    number = {name: index for index, name in enumerate(order)}
    graph = _Numbered(
        below=[sorted(number[name] for name in edges[node]) for node in order],
        seconds=[[scenario[name] for name in order] for scenario in scenarios],
        steps=[[index] for index in range(len(order))],
        alike=[alike(name) for name in order],
    )
    # The first sweep sees how much of its own each step needs, the second fuses what is left.
    graph = _quotient(graph.turned(), rules).turned()
    graph = _quotient(graph, rules)
    return tuple(tuple(order[step] for step in sorted(steps)) for steps in graph.steps)


def quotient(edges: Edges, groups: Groups) -> dict[str, frozenset[str]]:
    """The fewest needs between groups, each called by its first step. Raises `GraphError`."""
    first = {step: steps[0] for steps in groups for step in steps}
    needs = {steps[0]: frozenset(first[one] for step in steps for one in edges[step]) - {steps[0]} for steps in groups}
    return dict(reduced(needs))


def seconds_of(groups: Groups, seconds: Seconds, start: float) -> dict[str, float]:
    """What each group takes: one start, and the work of all; a step alone what it takes."""
    return {
        steps[0]: seconds[steps[0]] if len(steps) == 1 else start + sum(max(0.0, seconds[one] - start) for one in steps)
        for steps in groups
    }


@dataclass(frozen=True)
class _Numbered:
    """A graph whose nodes, groups of steps, are numbered so that each comes after what it needs."""

    below: list[list[int]]
    seconds: list[list[float]]
    """Of each node, for each scenario."""
    steps: list[list[int]]
    alike: list[Hashable]

    def turned(self) -> _Numbered:
        """The same with all edges turned round: a plan for it is a plan for this."""
        last = len(self.below) - 1
        above: list[list[int]] = [[] for _ in self.below]
        for node, needs in enumerate(self.below):
            for need in needs:
                above[last - need].append(last - node)
        return _Numbered(
            [sorted(needs) for needs in above],
            [list(reversed(seconds)) for seconds in self.seconds],
            list(reversed(self.steps)),
            list(reversed(self.alike)),
        )

    def deadlines(self, scenario: int) -> list[float]:
        """When each node has to be done, for no path through it to become longer than allowed."""
        seconds = self.seconds[scenario]
        done, after = [0.0] * len(seconds), [0.0] * len(seconds)
        for node, needs in enumerate(self.below):
            done[node] = seconds[node] + max((done[need] for need in needs), default=0.0)
        for node in range(len(seconds) - 1, -1, -1):
            rest = after[node] + seconds[node]
            for need in self.below[node]:
                after[need] = max(after[need], rest)
        limit = SHARE * max(done, default=0.0)
        return [own * max(1.0, limit / (own + rest)) for own, rest in zip(done, after, strict=True)]


@dataclass(slots=True)
class _Group:
    """A job that is being put together; `start` and `work` for each scenario, in seconds."""

    nodes: list[int]
    rank: int
    start: list[float]
    work: list[float]
    size: int
    alike: Hashable
    needs: set[int]
    """Other groups."""


class _Sweep:
    """One pass over a graph, in which each node joins a group, or begins one."""

    def __init__(self, graph: _Numbered, rules: FusionRules) -> None:
        self.graph, self.rules = graph, rules
        scenarios = range(len(graph.seconds))
        self.deadlines = list(zip(*(graph.deadlines(one) for one in scenarios), strict=True))
        sizes = [len(steps) for steps in graph.steps]
        self.work = [
            [max(0.0, seconds[node] - rules.start) for seconds in graph.seconds] for node in range(len(graph.below))
        ]
        self.sizes = sizes
        self.looked_at = max(4, min(LOOKED_AT, LOOKED_AT * SMALL // max(1, len(sizes))))
        self.groups: list[_Group] = []
        self.group_of = [-1] * len(graph.below)
        self.needed_elsewhere = [0] * len(graph.below)
        for needs in graph.below:
            for need in needs:
                self.needed_elsewhere[need] += 1
        self.newest: dict[Hashable, list[int]] = {}

    def run(self) -> list[_Group]:
        for node in range(len(self.graph.below)):
            found = self._best(node) if self.work[node][0] <= self.rules.work else None
            if found is None:
                self._begin(node)
            else:
                self._join(node, found)
        return self.groups

    def _best(self, node: int) -> int | None:
        """The group to join: one that holds needs of the node, then one that needs little else, then a large one."""
        needed = {self.group_of[need] for need in self.graph.below[node]}
        floor = max((self.groups[number].rank for number in needed), default=-1)
        found: list[tuple[bool, int, int, int]] = []
        for number in needed:
            group = self.groups[number]
            above = all(self.groups[other].rank < group.rank for other in needed if other != number)
            if above and self._has_room(node, group) and self._in_time(node, group, self._start(node, number), number):
                found.append((False, len(needed - group.needs), -group.size, number))
        if found:
            return min(found)[-1]
        start = self._start(node, -1)
        for number in self.newest.get(self.graph.alike[node], ())[-self.looked_at :]:
            group = self.groups[number]
            if group.rank > floor and self._has_room(node, group) and self._in_time(node, group, start, number):
                found.append((True, len(needed - group.needs), -group.size, number))
        return min(found)[-1] if found else None

    def _has_room(self, node: int, group: _Group) -> bool:
        return (
            group.alike == self.graph.alike[node]
            and group.work[0] + self.work[node][0] <= self.rules.work
            and group.size + self.sizes[node] <= self.rules.packages
        )

    def _in_time(self, node: int, group: _Group, start: Sequence[float], number: int) -> bool:
        """Whether a group with the node in it meets the deadlines of all that others need of it."""
        extra, own = self.rules.start - TOLERANCE, self.work[node]
        ends = [
            max(first, second) + extra + work + more
            for first, second, work, more in zip(group.start, start, group.work, own, strict=True)
        ]
        if any(map(gt, ends, self.deadlines[node])):
            return False
        inner = {need for need in self.graph.below[node] if self.group_of[need] == number}
        return not any(
            self.needed_elsewhere[one] > (one in inner) and any(map(gt, ends, self.deadlines[one]))
            for one in group.nodes
        )

    def _start(self, node: int, number: int) -> list[float]:
        outer = [self.deadlines[need] for need in self.graph.below[node] if self.group_of[need] != number]
        return [max(times) for times in zip(*outer, strict=True)] if outer else [0.0] * len(self.work[node])

    def _begin(self, node: int) -> None:
        needed = {self.group_of[need] for need in self.graph.below[node]}
        rank = 1 + max((self.groups[other].rank for other in needed), default=-1)
        alike = self.graph.alike[node]
        self.group_of[node] = len(self.groups)
        if self.work[node][0] <= self.rules.work:
            self.newest.setdefault(alike, []).append(len(self.groups))
        self.groups.append(
            _Group([node], rank, self._start(node, -1), list(self.work[node]), self.sizes[node], alike, needed)
        )

    def _join(self, node: int, number: int) -> None:
        group = self.groups[number]
        for need in self.graph.below[node]:
            self.needed_elsewhere[need] -= self.group_of[need] == number
        group.start = [max(pair) for pair in zip(group.start, self._start(node, number), strict=True)]
        group.work = [sum(pair) for pair in zip(group.work, self.work[node], strict=True)]
        group.size += self.sizes[node]
        group.nodes.append(node)
        group.needs |= {self.group_of[need] for need in self.graph.below[node]} - {number}
        self.group_of[node] = number


def _quotient(graph: _Numbered, rules: FusionRules) -> _Numbered:
    """The graph with groups for nodes."""
    groups = sorted(_Sweep(graph, rules).run(), key=lambda group: group.rank)
    place = {node: index for index, group in enumerate(groups) for node in group.nodes}

    def seconds(times: Sequence[float]) -> Iterator[float]:
        for group in groups:
            alone = len(group.nodes) == 1
            work = sum(max(0.0, times[node] - rules.start) for node in group.nodes)
            yield times[group.nodes[0]] if alone else rules.start + work

    return _Numbered(
        [
            sorted({place[need] for node in group.nodes for need in graph.below[node]} - {index})
            for index, group in enumerate(groups)
        ],
        [list(seconds(times)) for times in graph.seconds],
        [[step for node in group.nodes for step in graph.steps[node]] for group in groups],
        [group.alike for group in groups],
    )
