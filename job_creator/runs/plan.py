"""What a run would build: the packages of some lockfiles that the build cache lacks, in order. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from foundation.errors import NotThereError
from foundation.graph import BuildGraph, Edges, Package, between, union
from foundation.spack.lockfile import Lockfile
from job_creator.builds.merge import merge
from job_creator.builds.steps import Demands, EnvironmentBuilds, Step, nothing_known


@dataclass(frozen=True, slots=True)
class Selection:
    """Which packages a run is about; all of them if nothing is named."""

    only: tuple[str, ...] = ()
    """Names of packages, or first letters of DAG hashes. What they need comes along."""
    with_dependents: bool = False
    """Also what depends on them, directly or not."""


@dataclass(frozen=True, slots=True)
class RunPlan:
    """What is to be built, and what is not."""

    steps: Mapping[str, Step]
    """By DAG hash."""
    edges: Edges
    """The steps that each step waits for: the fewest with the order of the lockfiles."""
    present: int = 0
    """Packages that the build cache has."""
    external: int = 0
    """Packages that lie elsewhere on the machine, and are never built."""
    left_out: int = 0
    """Packages that the build cache lacks, and that nobody asked for."""

    @property
    def seconds(self) -> dict[str, float]:
        """What each step is expected to take, by DAG hash."""
        return {key: step.demand.seconds for key, step in self.steps.items()}

    def __str__(self) -> str:
        """`12 to build, 431 present, 6 external`."""
        told = f"{len(self.steps)} to build, {self.present} present, {self.external} external"
        return f"{told}, {self.left_out} left out" if self.left_out else told


def graph_of(locked: Lockfile) -> BuildGraph:
    """All specs of a lockfile, and their dependencies of every type."""
    specs = locked.specs
    packages = {key: Package(spec.name, spec.version, spec.is_external) for key, spec in specs.items()}
    return BuildGraph(packages, {key: frozenset(spec.dependencies) & specs.keys() for key, spec in specs.items()})


def make_plan(
    graphs: Mapping[str, BuildGraph],
    present: Collection[str],
    selection: Selection = Selection(),
    demands: Demands = nothing_known,
) -> RunPlan:
    """Plan a run. `graphs` are those of the environments by name, `present` the DAG hashes that the build cache has.

    What several environments lack is built in the first of them by name. Raises `NotThereError` for a selection that
    names nothing.
    """
    every = union(graphs.values())
    selected = _selected(every, selection)
    lacking = {key for key, package in every.packages.items() if not package.is_external and key not in present}
    merged = merge((_builds(name, graph, lacking & selected) for name, graph in graphs.items()), demands)
    counted = [package.is_external for key, package in every.packages.items() if key in selected and key not in lacking]
    return RunPlan(merged.steps, merged.edges, counted.count(False), counted.count(True), len(lacking - selected))


def without(plan: RunPlan, present: Collection[str]) -> RunPlan:
    """The rest of a plan when the build cache has more by now."""
    left = {key: step for key, step in plan.steps.items() if key not in present}
    done = len(plan.steps) - len(left)
    return replace(plan, steps=left, edges=between(plan.edges, left), present=plan.present + done)


def _builds(name: str, graph: BuildGraph, wanted: Collection[str]) -> EnvironmentBuilds:
    found = [(key, graph.packages[key]) for key in sorted(graph.packages) if key in wanted]
    steps = tuple(Step(key, package.name, package.version, name, ()) for key, package in found)
    return EnvironmentBuilds(name, name, None, steps, graph=graph)


def _selected(graph: BuildGraph, selection: Selection) -> frozenset[str]:
    """What a selection means, with all that it needs."""
    if not selection.only:
        return frozenset(graph.packages)
    named: set[str] = set()
    for one in selection.only:
        found = {key for key, package in graph.packages.items() if one == package.name or _is_start(one, key)}
        if not found:
            raise NotThereError(f"--only {one}: no package of this name, and none whose hash begins like that")
        named |= found
    if selection.with_dependents:
        above: dict[str, set[str]] = {}
        for key, needs in graph.edges.items():
            for need in needs:
                above.setdefault(need, set()).add(key)
        named |= _reached(above, named)
    return frozenset(named | _reached(graph.edges, named))


def _is_start(letters: str, hash_: str) -> bool:
    """Whether first letters of a hash are meant; fewer than four could be anybody's."""
    text = letters.removeprefix("/")
    return len(text) >= 4 and hash_.startswith(text)


def _reached(edges: Mapping[str, Collection[str]], start: Iterable[str]) -> set[str]:
    found: set[str] = set()
    waiting = list(start)
    while waiting:
        for one in edges.get(waiting.pop(), ()):
            if one not in found:
                found.add(one)
                waiting.append(one)
    return found
