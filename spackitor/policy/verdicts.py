"""What stays and what goes, and why. Pure: an inventory, roots and rules in, a verdict out.

A spec is *kept* if something that counts needs it: a root, a spec that is too young to be judged, or one that the rules
have nothing against. What is kept is closed under "needs to run", so that nothing kept ever loses a dependency; and
whatever depends on a spec that goes, goes too, because otherwise it would have kept it.

The exception are specs that are distrusted: nobody can install them from here, so nothing is lost with them, and the
next pipeline builds them again under the same DAG hash. They go, and what needs them stays.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from spackitor.inventory.inventory import Inventory
from spackitor.inventory.roots import RootSet
from spackitor.policy.repositories import Packages, canonical

DAY: Final = 86400.0


@dataclass(frozen=True, slots=True)
class PolicyRules:
    """What the user wants. Ages are in seconds, sizes in bytes; `None` sets no limit.

    What was written after `now - min_age` is never touched. With `removes_orphans`, incomplete entries go, and specs
    that no index lists and nothing kept needs. `condemned` maps DAG hashes that are to go to the reason, whatever the
    other rules say, and with them all that depends on them. `distrusted` maps those to the reason whose signature does
    not count; they go by themselves, whatever their age.
    """

    now: float
    min_age: float
    max_age: float | None = None
    max_size: int | None = None
    keep_build_dependencies: bool = False
    packages: Packages | None = None
    removes_orphans: bool = True
    condemned: Mapping[str, str] | None = None
    distrusted: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Verdict:
    """DAG hashes of what stays and, with the reason, of what goes.

    `protected` are beyond all rules: what roots and young specs need, whether it is in the cache or not.
    """

    kept: frozenset[str]
    protected: frozenset[str]
    reasons: Mapping[str, str]


def judge(inventory: Inventory, roots: Iterable[RootSet], rules: PolicyRules) -> Verdict:
    """Decide what stays and what goes, each spec that goes with its reason."""
    graph = _Graph(inventory, tuple(roots), build=rules.keep_build_dependencies)
    present = frozenset(inventory.copies)
    young = {hash_ for hash_ in present if inventory.modified(hash_) > rules.now - rules.min_age}
    protected = graph.needed_by(graph.roots | young)
    gone = _gone(inventory, rules, present - protected)
    reasons = graph.with_dependents(gone, present - protected)
    wanted = {hash_ for hash_ in present - reasons.keys() if not _objection(inventory, rules, hash_)}
    kept = (graph.needed_by(protected | wanted)) & present
    if rules.max_size is not None:
        kept, evicted = _shrunk(inventory, graph, kept, protected, rules.max_size)
        reasons |= evicted
    for hash_ in present - kept - reasons.keys():
        reasons[hash_] = _objection(inventory, rules, hash_)
    reasons |= {hash_: reason for hash_, reason in (rules.distrusted or {}).items() if hash_ in kept}
    kept -= reasons.keys()
    return Verdict(kept, protected, {hash_: reasons[hash_] for hash_ in sorted(present - kept)})


def dependents(inventory: Inventory, hashes: Collection[str]) -> dict[str, str]:
    """Everything in the cache that needs one of these to run, directly or not, with the spec that leads there."""
    graph = _Graph(inventory, (), build=False)
    found = graph.with_dependents(dict.fromkeys(hashes, ""), frozenset(inventory.copies))
    return {hash_: reason for hash_, reason in found.items() if hash_ not in hashes}


def _gone(inventory: Inventory, rules: PolicyRules, candidates: Collection[str]) -> dict[str, str]:
    """What has to go in any case; what depends on it goes with it."""
    condemned = rules.condemned or {}
    found = {hash_: condemned[hash_] for hash_ in candidates if hash_ in condemned}
    if rules.packages is not None:
        for hash_ in inventory.usable.intersection(candidates):
            spec = inventory.specs[hash_]
            names = rules.packages.get(spec.namespace)
            # Of a namespace that no repository has, nothing is known: that is no reason to remove it.
            if names is not None and canonical(spec.name) not in names and hash_ not in found:
                found[hash_] = f"package {spec.namespace}.{spec.name} no longer exists"
    return found


def _objection(inventory: Inventory, rules: PolicyRules, hash_: str) -> str:
    """What speaks against a spec by itself; empty if nothing does."""
    if hash_ not in inventory.usable:
        if not rules.removes_orphans:
            return ""
        entry = inventory.copies[hash_][0]
        return entry.damage or f"{', '.join(entry.missing)} is not there"
    age = rules.now - inventory.modified(hash_)
    if rules.max_age is not None and age > rules.max_age:
        return f"{age / DAY:.0f} days old and in no use"
    if rules.removes_orphans and hash_ in inventory.unlisted:
        return "not in the index"
    return ""


def _shrunk(
    inventory: Inventory, graph: _Graph, kept: frozenset[str], protected: Collection[str], limit: int
) -> tuple[frozenset[str], dict[str, str]]:
    """Without what was used least recently, until the rest fits into `limit` bytes.

    A spec was last used when the youngest of what depends on it was written: used(s) = max(modified(s), used(d) for
    every d that depends on s), in one pass over dependents before dependencies. So no spec is used later than what it
    needs; among equals the dependent goes first, and what stays never lacks a dependency. An object that specs share
    counts until the last of them goes. The cost is that of sorting the specs, and linear in edges and objects.
    """
    order = graph.dependents_first(kept)
    used = {hash_: inventory.modified(hash_) for hash_ in kept}
    for hash_ in order:
        for dependency in graph.dependencies(hash_):
            if dependency in used:
                used[dependency] = max(used[dependency], used[hash_])
    position = {hash_: index for index, hash_ in enumerate(order)}
    references: dict[str, int] = {}
    for hash_ in kept:
        for one in inventory.objects_of(hash_):
            references[one.key] = references.get(one.key, 0) + 1
    size = inventory.size(kept)
    evicted: dict[str, str] = {}
    for hash_ in sorted(kept - set(protected), key=lambda hash_: (used[hash_], position[hash_])):
        if size <= limit:
            break
        evicted[hash_] = f"the cache is larger than {limit:,} bytes, and this was used least recently"
        for one in inventory.objects_of(hash_):
            references[one.key] -= 1
            if not references[one.key]:
                size -= one.size
    return kept - evicted.keys(), evicted


class _Graph:
    """What needs what to run, over everything that indexes, spec files and roots tell of."""

    def __init__(self, inventory: Inventory, roots: tuple[RootSet, ...], *, build: bool) -> None:
        self._specs = inventory.specs
        self._build = build
        self._told = {hash_: needs for one in roots for hash_, needs in one.edges.items()}
        self.roots = frozenset(hash_ for one in roots for hash_ in one.hashes)

    def dependencies(self, hash_: str) -> tuple[str, ...]:
        """What a spec needs: to run, and if that is wanted to be built."""
        spec, told = self._specs.get(hash_), self._told.get(hash_)
        found = spec.dependencies if spec else told.runtime if told else ()
        if self._build:
            found += spec.build_dependencies if spec else told.build if told else ()
        return found

    def needed_by(self, hashes: Iterable[str]) -> frozenset[str]:
        """These and everything that they need, also across what is not in the cache."""
        found: set[str] = set()
        todo = list(hashes)
        while todo:
            hash_ = todo.pop()
            if hash_ not in found:
                found.add(hash_)
                todo += self.dependencies(hash_)
        return frozenset(found)

    def with_dependents(self, gone: Mapping[str, str], among: Collection[str]) -> dict[str, str]:
        """What is gone, with the reason, and everything that needs it."""
        users: dict[str, list[str]] = {}
        if gone:
            for hash_ in self._specs:
                for dependency in self.dependencies(hash_):
                    users.setdefault(dependency, []).append(hash_)
        found = dict(gone)
        todo = sorted(gone)
        seen = set(gone)
        while todo:
            hash_ = todo.pop()
            for user in users.get(hash_, ()):
                if user not in seen:
                    seen.add(user)
                    todo.append(user)
                    if user in among:
                        found[user] = f"depends on {self._specs[hash_]}, which goes" if hash_ in self._specs else ""
        return found

    def dependents_first(self, hashes: Collection[str]) -> list[str]:
        """The specs in an order in which each stands before what it needs."""
        order: list[str] = []
        done: set[str] = set()
        for start in sorted(hashes):
            stack = [(start, False)]
            while stack:
                hash_, leaving = stack.pop()
                if leaving:
                    order.append(hash_)
                elif hash_ not in done:
                    done.add(hash_)
                    stack.append((hash_, True))
                    stack += [(one, False) for one in self.dependencies(hash_) if one not in done]
        members = set(hashes)
        return [hash_ for hash_ in reversed(order) if hash_ in members]
