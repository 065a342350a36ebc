"""Reading what lies beside a build cache, and writing the list of it."""

from __future__ import annotations

from collections.abc import Collection

from foundation.errors import NotThereError
from foundation.stores.store import Store, read_all
from job_creator.corpus.entries import (
    ARCHIVES,
    MANIFEST,
    PACKAGES,
    CorpusEntry,
    hash_in,
    manifest_content,
    read_manifest,
    read_record,
)


def read_corpus(store: Store) -> dict[str, CorpusEntry]:
    """What was collected, by DAG hash: by the manifest, and by the records that are newer than it.

    Where nothing can be listed, the manifest alone says it. Raises `DamagedError`, `CouldNotAskError` and
    `FileAccessError`.
    """
    place = f"{store.url}/{MANIFEST}"
    content = store.read(MANIFEST)
    known = {one.hash: one for one in read_manifest(content.data, place)} if content else {}
    if not store.can_be_listed:
        return known
    written = found.modified if content and (found := store.look(MANIFEST)) else 0.0
    records = {hash_in(one.key): one for one in store.list(PACKAGES)}
    records.pop("", None)
    # Whoever writes a record in the second of the manifest may come after it.
    newer = {one.key for hash_, one in records.items() if hash_ not in known or one.modified >= written - 1}
    entries = {hash_: entry for hash_, entry in known.items() if hash_ in records}
    for key, read in read_all(store, newer):
        if read:
            entries[hash_in(key)] = read_record(read.data, f"{store.url}/{key}")
    return entries


def collected(store: Store, kinds: Collection[str]) -> frozenset[str]:
    """The DAG hashes of packages of which all of these kinds were collected, with an archive that is there.

    Raises what `read_corpus` raises.
    """
    entries = read_corpus(store)
    there = {one.key for one in store.list(ARCHIVES)} if entries else set()
    return frozenset(
        hash_ for hash_, one in entries.items() if set(kinds) <= one.collected.keys() and one.archive in there
    )


def write_manifest(store: Store) -> None:
    """Write the list of all that was collected. Raises what `read_corpus` raises."""
    store.write(MANIFEST, manifest_content(read_corpus(store).values()), no_cache=True)


def require_corpus(store: Store) -> dict[str, CorpusEntry]:
    """What was collected; raises `NotThereError` if nothing was, and what `read_corpus` raises."""
    entries = read_corpus(store)
    if not entries:
        raise NotThereError(f"{store.url}: nothing was collected beside it; 'jc build --collect' does that")
    return entries
