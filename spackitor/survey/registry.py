"""Looking at a build cache in a registry: its tags, manifests and index. Registries do not tell ages."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from foundation.errors import DamagedError, NotThereError
from foundation.registries.repository import OciRepository, TaggedManifest
from foundation.spack import layout_oci
from foundation.spack.layout_oci import INDEX_TAG, ImageManifest
from foundation.spack.releases import DATABASE_OF_SPECFILE
from foundation.spack.specs import Node, spec_of
from foundation.stores.store import Content
from spackitor.inventory.inventory import IndexFile, Inventory
from spackitor.layouts import oci
from spackitor.survey.survey import spec_file_of


def survey_registry(repository: OciRepository, *, may_be_empty: bool = False) -> Inventory:
    """What is in a repository of a registry, as its manifests say. Blobs are not asked for.

    Raises `NotThereError` for one without tags, unless it may be empty, and for one that has tags, and none of a build
    cache; and `CouldNotAskError`.
    """
    tags = repository.tags() or ()
    hashes = layout_oci.spec_tags(tags)
    wanted = [*hashes.values(), *({INDEX_TAG} & {*tags})]
    if not wanted and (tags or not may_be_empty):
        there = f"no build cache, but {', '.join(tags[:3])}" if tags else "there is nothing in it"
        raise NotThereError(f"{repository.url}: {there}; is that the right repository?")
    with ThreadPoolExecutor(repository.workers) as pool:
        found = {tag: one for tag, one in zip(wanted, pool.map(repository.manifest, wanted), strict=True) if one}
    read = {tag: manifest for tag, one in found.items() if (manifest := _readable(one))}
    index = _index(repository, found, read)
    entries = tuple(
        oci.entry(hash_, tag, found[tag].digest, len(found[tag].data), read.get(tag))
        for hash_, tag in hashes.items()
        if tag in found
    )
    specs = {hash_: record.spec for hash_, record in index.index.records.items()} if index.index else {}
    unknown = {hash_: read[tag] for hash_, tag in hashes.items() if hash_ not in specs and tag in read}
    nodes = _nodes(repository, unknown)
    specs |= {hash_: spec_of(node) for hash_, (_, node) in nodes.items() if hash_ not in specs}
    blobs = {blob.digest for manifest in read.values() for blob in manifest.blobs}
    return Inventory(
        repository.url,
        time.time(),
        entries,
        (),
        (index,),
        specs,
        nodes,
        objects=len(found) + len(blobs),
        unrecognised=len(set(tags) - set(wanted)),
    )


def _readable(found: TaggedManifest) -> ImageManifest | None:
    try:
        return layout_oci.read_manifest(found.data, "")
    except DamagedError:
        return None


def _index(
    repository: OciRepository, found: Mapping[str, TaggedManifest], read: Mapping[str, ImageManifest]
) -> IndexFile:
    manifest = read.get(INDEX_TAG)
    content = repository.blob(manifest.own.digest) if manifest else None
    return oci.index_file(found[INDEX_TAG].digest if INDEX_TAG in found else None, manifest, content)


def _nodes(repository: OciRepository, unknown: Mapping[str, ImageManifest]) -> dict[str, tuple[int, Node]]:
    """What the index does not tell of, out of the configurations; of what cannot be read, nothing is known."""
    nodes: dict[str, tuple[int, Node]] = {}
    with ThreadPoolExecutor(repository.workers) as pool:
        configs = pool.map(lambda one: repository.blob(one.config.digest), unknown.values())
        for hash_, data in zip(unknown, configs, strict=True):
            try:
                file = spec_file_of(Content(data, "") if data is not None else None, hash_, hash_)
            except DamagedError:
                continue
            version = DATABASE_OF_SPECFILE[file.version]
            nodes |= {node["hash"]: (version, node) for node in file.nodes if node["hash"] not in nodes}
    return nodes
