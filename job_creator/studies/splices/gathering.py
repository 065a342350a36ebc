"""The binaries that a question about splices is about, and the facts of all that they link or run."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from foundation.errors import NotThereError
from foundation.progress import Advance
from job_creator.studies.binaries import CachedBinary, Caches
from job_creator.studies.splices.facts.collection import Collected, collect
from job_creator.studies.splices.facts.kept import KeptFacts
from job_creator.studies.splices.facts.values import runtime_nodes

Counter = Callable[[int], AbstractContextManager[Advance]]
"""Given how many archives there are, something that shows how many are done."""


@dataclass(frozen=True)
class Question:
    """Binaries of the package `of`, in which dependencies are replaced: by others of the same name or, as in
    `mpich=openmpi`, of another one."""

    of: str
    replacing: tuple[tuple[str, str], ...]
    """The name of a dependency, and that of what replaces it."""

    @property
    def names(self) -> frozenset[str]:
        """The packages whose binaries are looked for."""
        return frozenset((self.of, *(name for pair in self.replacing for name in pair)))


def read_question(of: str, replacing: Sequence[str]) -> Question:
    """Read `--of` and `--with`. Raises `ValueError`."""
    pairs = []
    for text in dict.fromkeys(replacing):
        name, mark, other = text.partition("=")
        if not name or (mark and not other):
            raise ValueError(f"{text!r} names no dependency; write zlib, or mpich=openmpi")
        pairs.append((name, other or name))
    return Question(of, tuple(pairs))


@dataclass(frozen=True)
class Gathered:
    """What is known of all that a question is about."""

    found: Mapping[str, CachedBinary]
    """What is in the cache, by DAG hash."""
    facts: Collected
    damaged: Mapping[str, str]
    """Why spec files in the cache cannot be read, by DAG hash."""


def find(caches: Caches, question: Question) -> Gathered:
    """The binaries that a question is about, without facts. Raises `NotThereError` and `CouldNotAskError`."""
    named = caches.named(question.names)
    by_name = {one.spec.nodes[0]["name"] for one in named.binaries.values()}
    for name in sorted(question.names - by_name):
        raise NotThereError(f"{caches.url}: there is no binary of {name} in this cache")
    return Gathered(named.binaries, Collected(), named.damaged)


def gather(caches: Caches, kept: KeptFacts, question: Question, jobs: int, counter: Counter) -> Gathered:
    """The same with all that they link or run, and what is not known of it yet is found out. Raises the same."""
    named = find(caches, question)
    others = caches.with_hashes(_dependencies(named.found.values()) - named.found.keys())
    found = {**named.found, **others.binaries}
    with counter(len(found)) as advance:
        facts = collect(caches, kept, found.values(), jobs, advance)
    return Gathered(found, facts, {**named.damaged, **others.damaged})


def _dependencies(binaries: Collection[CachedBinary]) -> set[str]:
    """What they link or run, without what is not Spack's own."""
    nodes = (node for binary in binaries for node in runtime_nodes(binary.spec.nodes).values())
    return {node.hash for node in nodes if not node.is_external}
