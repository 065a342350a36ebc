"""Looking at a build cache in a registry: its tags, manifests, configurations and index, and what is kept there.

Registries do not say when something was pushed. Spack 1.1 says so in the configuration; of what others pushed,
`clean` remembers when it was first seen, and what was brought back counts as new.
"""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final

from foundation.errors import DamagedError, NotThereError
from foundation.registries.changes import EVERYTHING
from foundation.registries.manifests import blobs, members
from foundation.registries.mirror_store import RegistryStore
from foundation.registries.repository import TaggedManifest
from foundation.spack import layout_oci
from foundation.spack.layout_oci import INDEX_TAG, ImageManifest
from foundation.spack.releases import DATABASE_OF_SPECFILE
from foundation.spack.specs import Node, spec_of
from foundation.stores.documents import json_of, packed_json_of
from foundation.stores.store import SPACKITOR_FOLDER, Content, StoredObject
from spackitor.inventory.inventory import IndexFile, Inventory
from spackitor.layouts import oci
from spackitor.survey.side_folder import read_side_folder
from spackitor.survey.spec_files import spec_file_of

AGES: Final = f"{SPACKITOR_FOLDER}ages.json.gz"
"""What is remembered of ages."""
_VERSION: Final = 1

Ages = Mapping[str, tuple[str, float]]
"""By tag: the digest that it led to, and since when that counts as pushed, in seconds since 1970."""


@dataclass(frozen=True, slots=True)
class _Told:
    """What the configuration of a spec says: all nodes with their database version, and when it was pushed."""

    nodes: Mapping[str, tuple[int, Node]]
    pushed: float


def survey_registry(store: RegistryStore, *, every_spec_file: bool = False, may_be_empty: bool = False) -> Inventory:
    """What is in a repository of a registry, as its manifests say. Blobs are not asked for.

    With `every_spec_file`, what the index says is not relied on. Raises `NotThereError` for one without tags, unless it
    may be empty, and for one that has tags, and none of a build cache; and `CouldNotAskError`.
    """
    folders = store.folders()
    now = store.now()
    has_own = SPACKITOR_FOLDER.rstrip("/") in folders
    tags = [tag for tag in folders if tag != SPACKITOR_FOLDER.rstrip("/")]
    hashes = {tag: hash_ for tag in tags for hash_ in layout_oci.spec_tags((tag,))}
    others = [tag for tag in tags if tag not in hashes and tag != INDEX_TAG]
    if not hashes and INDEX_TAG not in tags and (others or not (may_be_empty or has_own)):
        there = f"no build cache, but {', '.join(others[:3])}" if others else "there is nothing in it"
        raise NotThereError(f"{store.url}: {there}; is that the right repository?")
    found = manifests_of(store, [*hashes, *({INDEX_TAG} & {*tags})])
    read = {tag: manifest for tag, one in found.items() if (manifest := _readable(one))}
    index = _index(store, found, read)
    ages = read_ages(store) if has_own else {}
    listed = index.index.records if index.index and not every_spec_file else {}
    known = {tag for tag in hashes if tag in found and ages.get(tag, ("", 0.0))[0] == found[tag].digest}
    asked = {hashes[tag]: read[tag] for tag in hashes if tag in read and not (tag in known and hashes[tag] in listed)}
    told = _told(store, asked)
    entries = tuple(
        oci.entry(hash_, _tag(tag, found[tag], ages if tag in known else {}, told.get(hash_)), read.get(tag))
        for tag, hash_ in hashes.items()
        if tag in found
    )
    nodes = {hash_: node for one in told.values() for hash_, node in one.nodes.items() if hash_ not in listed}
    specs = {hash_: record.spec for hash_, record in listed.items()}
    specs |= {hash_: spec_of(node) for hash_, (_, node) in nodes.items()}
    runs, roots = read_side_folder(store) if has_own else ((), ())
    digests = {blob.digest for manifest in read.values() for blob in manifest.blobs}
    return Inventory(
        store.url,
        now,
        entries,
        (),
        (index if listed or not every_spec_file else IndexFile(index.layout, index.key, index.tag, None),),
        specs,
        nodes,
        _held_elsewhere(store, others),
        runs=runs,
        roots=roots,
        objects=len(found) + len(digests),
        unrecognised=len(others),
    )


def manifests_of(store: RegistryStore, tags: Iterable[str]) -> dict[str, TaggedManifest]:
    """What tags lead to, asked at once; without those that are gone."""
    every = tuple(tags)
    with ThreadPoolExecutor(store.workers) as pool:
        found = zip(every, pool.map(store.read, every), strict=True)
        return {tag: TaggedManifest(one.data, "") for tag, one in found if one}


def needs_of(store: RegistryStore, tags: Iterable[str]) -> frozenset[str]:
    """Everything that the specs of some tags need to run, and these."""
    manifests = {tag: one for tag, found in manifests_of(store, tags).items() if (one := _readable(found))}
    nodes = {hash_: node for one in _told(store, _by_hash(manifests)).values() for hash_, node in one.nodes.items()}
    return frozenset(nodes)


def _by_hash(manifests: Mapping[str, ImageManifest]) -> dict[str, ImageManifest]:
    return {hash_: manifests[tag] for hash_, tag in layout_oci.spec_tags(manifests).items()}


def _tag(tag: str, found: TaggedManifest, ages: Ages, told: _Told | None) -> StoredObject:
    modified = ages[tag][1] if tag in ages else told.pushed if told else oci.UNKNOWN_TIME
    return StoredObject(tag, len(found.data), modified, found.digest)


def _readable(found: TaggedManifest) -> ImageManifest | None:
    try:
        return layout_oci.read_manifest(found.data, "")
    except DamagedError:
        return None


def _index(store: RegistryStore, found: Mapping[str, TaggedManifest], read: Mapping[str, ImageManifest]) -> IndexFile:
    manifest = read.get(INDEX_TAG)
    content = store.read(manifest.own.digest) if manifest else None
    digest = found[INDEX_TAG].digest if INDEX_TAG in found else None
    return oci.index_file(digest, manifest, content.data if content else None)


def _told(store: RegistryStore, asked: Mapping[str, ImageManifest]) -> dict[str, _Told]:
    """What configurations say, by DAG hash; of what cannot be read, nothing is known."""
    told: dict[str, _Told] = {}
    with ThreadPoolExecutor(store.workers) as pool:
        configs = pool.map(lambda one: store.read(one.config.digest), asked.values())
        for hash_, content in zip(asked, configs, strict=True):
            try:
                file = spec_file_of(content, hash_, hash_)
            except DamagedError:
                continue
            version = DATABASE_OF_SPECFILE[file.version]
            told[hash_] = _Told({node["hash"]: (version, node) for node in file.nodes}, _pushed(content))
    return told


def _pushed(content: Content | None) -> float:
    """When Spack says that it pushed a spec (`archive_timestamp`, binary_distribution.py of Spack v1.1.0)."""
    try:
        said = json_of(content.data)["archive_timestamp"] if content else ""
        return datetime.fromisoformat(said).timestamp()
    except (ValueError, KeyError, TypeError, OverflowError, OSError):
        return oci.UNKNOWN_TIME


def _held_elsewhere(store: RegistryStore, tags: Iterable[str]) -> frozenset[str]:
    """The blobs of what is no spec, such as images that Spack tagged; they have layers of specs."""
    read = partial(store.repository.manifest, accept=EVERYTHING)
    with ThreadPoolExecutor(store.workers) as pool:
        tagged = [one.data for one in pool.map(read, tags) if one]
        inner = [one.data for one in pool.map(read, [digest for data in tagged for digest in members(data)]) if one]
    return frozenset(digest for data in (*tagged, *inner) for digest in blobs(data))


def read_ages(store: RegistryStore) -> dict[str, tuple[str, float]]:
    """What is remembered of ages; nothing if that cannot be read: then everything counts as seen now."""
    content = store.read(AGES)
    try:
        value = packed_json_of(content.data) if content else {}
        if value.get("version") != _VERSION:
            return {}
        ages = {str(tag): (str(digest), float(when)) for tag, (digest, when) in value["ages"].items()}
        return {tag: one for tag, one in ages.items() if math.isfinite(one[1])}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def write_ages(store: RegistryStore, ages: Ages) -> None:
    """Remember since when what tags lead to counts as pushed. Raises `CouldNotAskError`."""
    text = json.dumps({"version": _VERSION, "ages": dict(ages)}, separators=(",", ":"))
    store.write(AGES, gzip.compress(text.encode(), compresslevel=1, mtime=0))
