"""Which splices a cache allows, and why others are left out. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
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
    consumers = sorted((dag[hash_] for hash_, dag in dags.items() if dag[hash_].name == of), key=order)
    for consumer in consumers:
        for name, other in pairs:
            replaced = [node for node in dags[consumer.hash].values() if node.name == name and node != consumer]
            if not replaced:
                left_out.append(f"{consumer}: neither links nor runs {name}")
            for old in sorted(replaced, key=order):
                if old.is_external:
                    left_out.append(f"{consumer}: its {name} is an external, which no splice replaces")
                    continue
                candidates = _candidates(dags, other, old, consumer)
                splices += [Splice(consumer.hash, old.hash, new.hash, is_transitive) for new in candidates]
    return SplicePlan(tuple(splices), tuple(left_out))


def _candidates(dags: Mapping[str, Dag], name: str, old: SpecNode, consumer: SpecNode) -> Iterator[SpecNode]:
    """Binaries of a name that do not need the consumer themselves."""
    found = (dag[hash_] for hash_, dag in dags.items() if dag[hash_].name == name and consumer.hash not in dag)
    yield from sorted((node for node in found if node.hash != old.hash), key=order)


def order(node: SpecNode) -> tuple[object, ...]:
    """By name, version and hash; versions by their numbers."""
    parts = [
        (0, int(part), "") if part.isdigit() else (1, 0, part) for part in node.version.replace("-", ".").split(".")
    ]
    return node.name, parts, node.hash
