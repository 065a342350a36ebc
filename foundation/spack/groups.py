"""Spec groups of an environment: specs that are concretized by themselves, some after others.

Source: Spack after 1.2, `EnvironmentManifestFile` and `EnvironmentConcretizer` in
lib/spack/spack/environment/environment.py, and lib/spack/spack/schema/spec_list.py.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

DEFAULT_GROUP: Final = "default"
"""The group of specs that name none; it comes first and needs nothing."""
GROUP_KEYS: Final = frozenset({"group", "needs", "override", "explicit"})
"""What an entry of `specs` may have besides `specs`, or `matrix` and `exclude`."""


class GroupError(ValueError):
    """The groups need each other in a circle; `groups` are those that nothing can begin with."""

    def __init__(self, groups: Collection[str]) -> None:
        self.groups = tuple(sorted(groups))
        super().__init__(f"the groups {', '.join(self.groups)} need each other in a circle")


def is_group(entry: object) -> bool:
    """Whether an entry of `specs` is a group."""
    return isinstance(entry, Mapping) and bool(entry.keys() & (GROUP_KEYS | {"specs"}))


def needs_of_groups(specs: object) -> dict[str, frozenset[str]]:
    """Which groups each group needs, as an environment's `specs` say it. Where that is wrong, nothing is said."""
    found: dict[str, frozenset[str]] = {DEFAULT_GROUP: frozenset()}
    for entry in specs if isinstance(specs, list) else ():
        if isinstance(entry, Mapping) and isinstance(name := entry.get("group"), str):
            needs = entry.get("needs")
            found.setdefault(name, frozenset(map(str, needs)) if isinstance(needs, list) else frozenset())
    return found


def in_order(needs: Mapping[str, Collection[str]]) -> tuple[str, ...]:
    """The groups in the order in which Spack concretizes them. Raises `GroupError`.

    In rounds: by name, those whose needs were all met before the round. Needs that are no groups do not count.
    """
    order = [name for name in (DEFAULT_GROUP,) if name in needs]
    while rest := needs.keys() - set(order):
        ready = sorted(name for name in rest if not rest & set(needs[name]))
        if not ready:
            raise GroupError(rest)
        order += ready
    return tuple(order)


def all_needs(needs: Mapping[str, Collection[str]]) -> dict[str, frozenset[str]]:
    """Which groups each group needs, directly or not. Raises `GroupError`."""
    found: dict[str, frozenset[str]] = {}
    for name in in_order(needs):
        direct = [one for one in needs[name] if one in found]
        found[name] = frozenset(direct).union(*(found[one] for one in direct))
    return found


def needs_in(environment: Any) -> dict[str, frozenset[str]]:
    """The same of the content of a `spack.yaml`."""
    section = environment.get("spack") if isinstance(environment, Mapping) else None
    return needs_of_groups(section.get("specs") if isinstance(section, Mapping) else None)
