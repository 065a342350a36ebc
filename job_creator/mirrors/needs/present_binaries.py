"""Which binaries a mirror has in full, asked in the way that its host allows."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

from foundation.errors import DamagedError, RefusedError
from foundation.registries.repository import OciRepository
from foundation.spack import layout_oci, layout_v2, layout_v3
from foundation.spack.source_needs import SourceNeeds
from foundation.stores.store import Store, read_all
from job_creator.mirrors.needs.binaries import LISTED, SPEC_MANIFESTS, manifest_key, manifest_keys, whole_v2, whole_v3
from job_creator.mirrors.places import MirrorPlace


def present_binaries(place: MirrorPlace, hashes: Collection[str], needs: SourceNeeds) -> Mapping[str, int]:
    """The sizes in bytes of those of the binaries that a mirror has in full, by DAG hash.

    `needs` are of all of them. Raises `RefusedError` for a layout that cannot be asked, and `CouldNotAskError`.
    """
    if isinstance(place, OciRepository):
        return _in_registry(place, hashes)
    return _in_store(place, hashes) if place.can_be_listed else _asked_for(place, hashes, needs)


def _in_store(store: Store, hashes: Collection[str]) -> Mapping[str, int]:
    objects = {one.key: one for prefix in LISTED for one in store.list(prefix)}
    keys = {hash_: key for hash_, key in manifest_keys(objects).items() if hash_ in hashes}
    sizes = {key: one.size for key, one in objects.items() if not key.startswith(SPEC_MANIFESTS)}
    return {**whole_v2(objects.values()), **whole_v3(_manifests(store, keys), sizes)}


def _asked_for(store: Store, hashes: Collection[str], needs: SourceNeeds) -> Mapping[str, int]:
    """By the names that they have to have; without an index, because that may be older than they are."""
    packages = [needs.packages[hash_] for hash_ in hashes]
    keys = {package.hash: manifest_key(package.name, package.version, package.hash) for package in packages}
    manifests = _manifests(store, keys)
    if not manifests and store.look(layout_v2.INDEX):
        raise RefusedError(f"{store.url}: binaries of layout v2 cannot be asked for over HTTP; give folder or bucket")
    blobs = {blob.key: blob.size for manifest in manifests.values() for blob in manifest.blobs}
    with ThreadPoolExecutor(store.workers) as pool:
        found = [one for one in pool.map(store.look, blobs) if one]
    # Some servers do not say how large a file is.
    return whole_v3(manifests, {one.key: one.size if one.size >= 0 else blobs[one.key] for one in found})


def _manifests(store: Store, keys: Mapping[str, str]) -> dict[str, layout_v3.SpecManifest]:
    """The manifests that are there by DAG hash; `keys` are theirs."""
    hash_of = {key: hash_ for hash_, key in keys.items()}
    return {hash_of[key]: layout_v3.read_manifest(content, key) for key, content in read_all(store, hash_of) if content}


def _in_registry(repository: OciRepository, hashes: Collection[str]) -> Mapping[str, int]:
    tags = {hash_: tag for hash_, tag in layout_oci.spec_tags(repository.tags() or ()).items() if hash_ in hashes}
    with ThreadPoolExecutor(repository.workers) as pool:
        read = zip(tags, pool.map(repository.manifest, tags.values()), strict=True)
        manifests = {hash_: manifest for hash_, found in read if found and (manifest := _readable(found.data))}
        digests = _digests(manifests.values())
        sizes = dict(zip(digests, pool.map(repository.blob_size, digests), strict=True))
    return {
        hash_: manifest.config.size + manifest.own.size
        for hash_, manifest in manifests.items()
        if all(sizes[blob.digest] in (blob.size, -1) for blob in manifest.blobs)
    }


def _digests(manifests: Iterable[layout_oci.ImageManifest]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(blob.digest for manifest in manifests for blob in manifest.blobs))


def _readable(data: bytes) -> layout_oci.ImageManifest | None:
    """What cannot be read is not there for Spack either; what is wrong with it is for 'jc mirror verify' to say."""
    try:
        return layout_oci.read_manifest(data, "")
    except DamagedError:
        return None
