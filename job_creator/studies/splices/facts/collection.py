"""Finds out the facts of binaries, several at once, and keeps them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from typing import IO

from foundation.errors import DamagedError, NotThereError
from foundation.progress import Advance
from job_creator.studies.binaries import CachedBinary, Caches
from job_creator.studies.splices.facts.archive import prefixes_of, read_archive
from job_creator.studies.splices.facts.elf import read_elf
from job_creator.studies.splices.facts.kept import KeptFacts
from job_creator.studies.splices.facts.values import BinaryFacts, runtime_nodes


@dataclass
class Collected:
    """What is known of binaries by DAG hash, and why nothing is known of others."""

    binaries: dict[str, BinaryFacts] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    read: int = 0
    """How many archives had to be read for it."""
    bytes_read: int = 0


def collect(caches: Caches, kept: KeptFacts, wanted: Iterable[CachedBinary], jobs: int, advance: Advance) -> Collected:
    """The facts of binaries; only archives that nothing is known of are read. Raises `CouldNotAskError`."""
    found = Collected()
    unknown = []
    for binary in wanted:
        facts = kept.binary(binary)
        if facts is None:
            unknown.append(binary)
        else:
            found.binaries[binary.hash] = facts
            advance(1, f"{facts.node} is known")
    if not unknown:
        return found
    # Ends at once, and not after all that was planned, when one of them raises or somebody interrupts.
    pool = ThreadPoolExecutor(jobs)
    try:
        futures = {pool.submit(_facts_of, caches, kept, binary): binary for binary in unknown}
        for future in as_completed(futures):
            _note(found, futures[future], future, advance)
    finally:
        pool.shutdown(cancel_futures=True)
    return found


def _note(found: Collected, binary: CachedBinary, future: Future[BinaryFacts], advance: Advance) -> None:
    try:
        facts = future.result()
    except (DamagedError, NotThereError) as error:
        found.failures[binary.hash] = str(error)
        advance(1, str(error))
        return
    found.binaries[binary.hash] = facts
    found.read += 1
    found.bytes_read += max(binary.size, 0)
    advance(1, f"{facts.node}: {len(facts.files)} ELF files")


def _facts_of(caches: Caches, kept: KeptFacts, binary: CachedBinary) -> BinaryFacts:
    def tell(_: str, sha256: str, content: IO[bytes]) -> None:
        if not kept.has_elf(sha256):
            kept.keep_elf(sha256, read_elf(content))

    place = f"{caches.url}: {binary.archive}"
    nodes = runtime_nodes(binary.spec.nodes)
    contents = read_archive(caches.stream(binary), tell, place)
    own, prefixes = prefixes_of(contents, binary.hash, place)
    files, links = contents.below(own)
    facts = BinaryFacts(binary.hash, nodes, prefixes, files, links)
    kept.keep_binary(binary, facts)
    return facts


def as_value(found: Collected, damaged: Mapping[str, str]) -> dict[str, object]:
    """For machines."""
    return {
        "binaries": [
            {"hash": one.hash, "name": one.node.name, "version": one.node.version, "elf_files": len(one.files)}
            for one in sorted(found.binaries.values(), key=lambda one: (one.node.name, one.node.version, one.hash))
        ],
        "archives_read": found.read,
        "bytes_read": found.bytes_read,
        "failures": {**damaged, **found.failures},
    }
