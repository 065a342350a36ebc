"""Spec groups as phases of the work: what only a later group needs waits for all of the groups that it needs.

Spack concretizes groups one after the other, but `spack ci generate` (1.2) lets each package wait for its dependencies
alone. So a broken package of the first group would be noticed when half of the others are built.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from foundation.graph import Edges
from foundation.spack.groups import all_needs, in_order


@dataclass(frozen=True, slots=True)
class Phases:
    """The spec groups of one environment."""

    needs: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Which groups each group needs."""
    roots: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """DAG hashes of the roots of each group."""


def phase_of(phases: Phases, locked: Edges) -> dict[str, str]:
    """The group of each spec of an environment, by DAG hash: the first one that it is in or that depends on it.

    `locked` are the dependencies of all specs. Raises `GroupError` where groups need each other in a circle.
    """
    found: dict[str, str] = {}
    for group in in_order(phases.needs):
        waiting = list(phases.roots.get(group, ()))
        while waiting:
            node = waiting.pop()
            if node not in found:
                found[node] = group
                waiting += locked.get(node, ())
    return found


def phase_edges(phases: Phases, locked: Edges, edges: Edges) -> dict[str, frozenset[str]]:
    """What steps wait for because of their groups, besides `edges`, which are their needs already.

    Enough that the whole of a group follows the whole of those that it needs: its first steps wait for their last ones.
    Within one environment they close no circle, since a spec is in no later group than what depends on it. Raises
    `GroupError`.
    """
    groups = phase_of(phases, locked)
    members: dict[str, set[str]] = {}
    for step in edges:
        if step in groups:
            members.setdefault(groups[step], set()).add(step)
    found: dict[str, frozenset[str]] = {}
    for group, needed in all_needs(phases.needs).items():
        before = set[str]().union(*(members.get(one, ()) for one in needed))
        last = frozenset(before - _needed_by(before, edges))
        own = members.get(group, set())
        if last:
            found |= {step: last for step in own if not edges[step] & own}
    return found


def _needed_by(steps: Collection[str], edges: Edges) -> set[str]:
    return set[str]().union(*(edges[step] for step in steps))
