"""Which splices a cache allows, and why others are left out. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from job_creator.studies.splices.facts.values import SpecNode
from job_creator.studies.splices.prediction.comparison import Splice

Dag = Mapping[str, SpecNode]
"""All that a binary links or runs, itself included, by DAG hash."""


@dataclass(frozen=True)
class SplicePlan:
    """The splices to look at, in the order of names, versions and hashes."""

    splices: tuple[Splice, ...]
    left_out: tuple[str, ...]
    """Each with its reason."""


def plan(dags: Mapping[str, Dag], of: str, replacing: Iterable[tuple[str, str]], *, is_transitive: bool) -> SplicePlan:
    """Every binary of `of` with every other binary in the place of each dependency. None are invented.

    `dags` are those of the binaries in the cache, by DAG hash.
    """
    splices, left_out = [], []
    pairs = list(replacing)
    candidates = {other: _named(dags, other) for _, other in pairs}
    for consumer in _named(dags, of):
        for name, other in pairs:
            replaced = [node for node in dags[consumer.hash].values() if node.name == name and node != consumer]
            if not replaced:
                left_out.append(f"{consumer}: neither links nor runs {name}")
            for old in sorted(replaced, key=order):
                if old.is_external:
                    left_out.append(f"{consumer}: its {name} is an external, which no splice replaces")
                    continue
                splices += [
                    Splice(consumer.hash, old.hash, new.hash, is_transitive)
                    for new in candidates[other]
                    # Not one that needs the consumer itself.
                    if new.hash != old.hash and consumer.hash not in dags[new.hash]
                ]
    return SplicePlan(tuple(splices), tuple(left_out))


def _named(dags: Mapping[str, Dag], name: str) -> list[SpecNode]:
    return sorted((dag[hash_] for hash_, dag in dags.items() if dag[hash_].name == name), key=order)


def order(node: SpecNode) -> tuple[object, ...]:
    """By name, version and hash; versions by their numbers."""
    parts = [
        (0, int(part), "") if part.isdecimal() else (1, 0, part) for part in node.version.replace("-", ".").split(".")
    ]
    return node.name, parts, node.hash
