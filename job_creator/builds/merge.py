"""One build graph over all environments: every spec once, in an order that loses no edge."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from foundation.errors import Fault, InvalidInputError
from foundation.graph import Edges, GraphError, between, not_implied, reduced, union
from job_creator.builds.phases import phase_edges
from job_creator.builds.steps import Demands, EnvironmentBuilds, Step, nothing_known


@dataclass(frozen=True, slots=True)
class Merged:
    """All packages of an architecture that have to be built."""

    environments: tuple[EnvironmentBuilds, ...]
    """By name."""
    steps: Mapping[str, Step]
    """By DAG hash. A package that several environments lack is built in the first of them by name."""
    edges: Edges
    """The fewest needs with the order of the lockfiles and of Spack's own needs, by DAG hash."""
    restored: tuple[tuple[str, str], ...]
    """Edges of the lockfiles that Spack's needs had lost (spack#39656), as DAG hashes of step and dependency."""
    unlocked: tuple[str, ...]
    """Environments without a lockfile, for which Spack's needs alone count."""
    unphased: tuple[str, ...] = ()
    """Environments whose spec groups would have to be built in another order than those of others before them."""

    @property
    def seconds(self) -> dict[str, float]:
        """What each step is expected to take, in seconds by DAG hash."""
        return {key: step.demand.seconds for key, step in self.steps.items()}

    @property
    def steps_read(self) -> int:
        """How many builds Spack asked for, duplicates included."""
        return sum(len(environment.steps) for environment in self.environments)

    @property
    def up_to_date(self) -> int:
        """How many specs of the lockfiles need no build, external ones aside."""
        graphs = [one.graph for one in self.environments if one.graph]
        packages = {key: package for graph in graphs for key, package in graph.packages.items()}
        return sum(not package.is_external and key not in self.steps for key, package in packages.items())


def merge(environments: Iterable[EnvironmentBuilds], demands: Demands = nothing_known) -> Merged:
    """Merge what all environments of an architecture lack; their order does not matter.

    Raises `InvalidInputError` when different lines of Spack wrote them, or when the needs go round in a circle.
    """
    every = tuple(sorted(environments, key=lambda one: one.environment))
    _require_one_line(every)
    steps: dict[str, Step] = {}
    for environment in every:
        for step in environment.steps:
            if step.hash not in steps:
                steps[step.hash] = replace(step, demand=demands(step.package))
    needs = _needs(every, steps)
    locked = union(one.graph for one in every if one.graph)
    try:
        known = between({**dict.fromkeys(steps, frozenset()), **locked.edges}, steps)
        edges, unphased = _with_phases(every, {key: known[key] | needs[key] for key in sorted(steps)})
        restored = not_implied(known, needs)
    except GraphError as error:
        circle = " -> ".join(str(steps[key]) if key in steps else key for key in error.circle)
        raise InvalidInputError([Fault(every[0].path, 1, 1, f"packages depend on themselves: {circle}")]) from None
    unlocked = tuple(one.environment for one in every if one.steps and not one.graph)
    return Merged(every, {key: steps[key] for key in sorted(steps)}, edges, restored, unlocked, unphased)


def _with_phases(environments: Iterable[EnvironmentBuilds], edges: Edges) -> tuple[Edges, tuple[str, ...]]:
    """The fewest edges that also keep the order of spec groups, and the environments whose order would be a circle.

    Raises `GraphError` where the edges themselves go round.
    """
    kept = reduced(edges)
    unphased: list[str] = []
    for environment in environments:
        if environment.graph is None:
            continue
        more = phase_edges(environment.phases, environment.graph.edges, kept)
        if more:
            try:
                kept = reduced({key: needs | more.get(key, frozenset()) for key, needs in kept.items()})
            except GraphError:
                unphased.append(environment.environment)
    return kept, tuple(unphased)


def _needs(environments: Sequence[EnvironmentBuilds], steps: Mapping[str, Step]) -> dict[str, frozenset[str]]:
    """What Spack let each step wait for, in any of the environments."""
    needs = dict.fromkeys(sorted(steps), frozenset[str]())
    for environment in environments:
        for key, waited in environment.needs.items():
            needs[key] |= waited
    return needs


def _require_one_line(environments: Sequence[EnvironmentBuilds]) -> None:
    known = [one for one in environments if one.line]
    faults = [
        Fault(
            one.path,
            1,
            1,
            f"written by Spack {one.line}, but {known[0].path} by Spack {known[0].line}",
            "all containers of an architecture must come from one Spack; was the builder image exchanged meanwhile?",
        )
        for one in known
        if one.line != known[0].line
    ]
    if faults:
        raise InvalidInputError(faults)
