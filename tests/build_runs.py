"""Lockfiles of toy packages, and engines that only pretend, for tests of `jc build`."""

from __future__ import annotations

import hashlib
import json
from base64 import b32encode
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from foundation.spack.lockfile import Lockfile, read_lockfile
from job_creator.engines.engine import EndingKind, StepEnding, StepWork

EIGHT: Mapping[str, Sequence[str]] = {
    "g1": (),
    "g2": ("g1",),
    "g3": ("g1",),
    "g4": ("g2",),
    "g5": ("g2", "g3"),
    "g6": ("g3",),
    "g7": ("g4", "g5"),
    "g8": ("g6",),
}
"""Packages, and what each needs."""


def dag_hash(name: str) -> str:
    """The DAG hash of a toy package."""
    return b32encode(hashlib.sha256(name.encode()).digest()).decode().lower()[:32]


def lock_of(needs: Mapping[str, Sequence[str]], external: Collection[str] = ()) -> bytes:
    """A lockfile of toy packages at version 1.0."""
    nodes = {
        dag_hash(name): {
            "name": name,
            "version": "1.0",
            "hash": dag_hash(name),
            "dependencies": [
                {"name": one, "hash": dag_hash(one), "parameters": {"deptypes": ["build", "link"]}} for one in below
            ],
            **({"external": {"path": "/usr"}} if name in external else {}),
        }
        for name, below in needs.items()
    }
    needed = {one for below in needs.values() for one in below}
    roots = [{"hash": dag_hash(name), "spec": name} for name in needs if name not in needed]
    meta = {"file-type": "spack-lockfile", "lockfile-version": 6, "specfile-version": 5}
    return json.dumps({"_meta": meta, "roots": roots, "concrete_specs": nodes}).encode()


def locked(needs: Mapping[str, Sequence[str]], external: Collection[str] = ()) -> Lockfile:
    """The same, read."""
    return read_lockfile(lock_of(needs, external), "spack.lock")


@dataclass
class PretendedEngine:
    """Ends each step at once: well, or as `ends` says for its package and which time it was submitted."""

    ends: Mapping[tuple[str, int], EndingKind] = field(default_factory=dict)
    holds_dependencies: bool = False
    most: int = 1000
    name: str = "pretended"
    submitted: list[tuple[str, int, tuple[str, ...]]] = field(default_factory=list)
    """Package, which time, and ids that were waited for, in the order of their submission."""
    left: dict[str, str] = field(default_factory=dict)
    """The state that the program of a step wrote down, by its log."""
    works: list[StepWork] = field(default_factory=list)
    _open: dict[str, tuple[StepWork, tuple[str, ...]]] = field(default_factory=dict)
    _lost: set[str] = field(default_factory=set)
    _tries: dict[str, int] = field(default_factory=dict)

    def room(self, waiting: int) -> int:
        """So many at once."""
        return self.most - len(self._open)

    def submit(self, work: StepWork, after: Collection[str]) -> str:
        """Note it."""
        package = work.step.package
        self._tries[package] = self._tries.get(package, 0) + 1
        id_ = f"{package}#{self._tries[package]}"
        self.submitted.append((package, self._tries[package], tuple(after)))
        self.works.append(work)
        self._open[id_] = (work, tuple(after))
        return id_

    def poll(self, seconds: float) -> Iterator[StepEnding]:
        """End the first of those that can start, or cancel it."""
        ready = [one for one, (_, after) in self._open.items() if not set(after) & self._open.keys()]
        if not ready:
            return
        id_ = ready[0]
        work, after = self._open.pop(id_)
        package, _, number = id_.partition("#")
        kind = self.ends.get((package, int(number)), EndingKind.DONE)
        if set(after) & self._lost:
            kind = EndingKind.CANCELLED
        if kind is not EndingKind.DONE:
            self._lost.add(id_)
        if kind in (EndingKind.DONE, EndingKind.FAILED):
            self.left[str(work.log)] = "built" if kind is EndingKind.DONE else "failed"
        yield StepEnding(id_, kind, "as the test said")

    def cancel(self, ids: Collection[str]) -> None:
        """Forget them."""
        for id_ in ids:
            self._open.pop(id_, None)

    def close(self) -> None:
        """Nothing is running."""
