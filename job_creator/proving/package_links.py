"""The packages of a lockfile, as a build cache has them: manifest, signature, spec file and archive of each.

Source of the layouts: `foundation.spack.layout_v3` and `layout_v2`.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from foundation.doors.blocks import sha256_of
from foundation.errors import CouldNotAskError, DamagedError, FileAccessError, NotThereError, RefusedError
from foundation.openpgp.frame import message_fault
from foundation.openpgp.keys import Signature, State
from foundation.openpgp.ring import key_ring
from foundation.spack import layout_v2, layout_v3
from foundation.spack.lockfile import LockedSpec, Lockfile, nodes_in
from foundation.spack.specs import is_signed, read_spec_file
from foundation.stores.store import Content, Store, look_at_all, read_all
from job_creator.proving.chain import Link, LinkState, broken, holds, unanswered, unchecked

_GZIP: Final = b"\x1f\x8b"


def manifest_key(spec: LockedSpec) -> str:
    """Where a cache of layout v3 has the manifest of a package."""
    return f"{layout_v3.MANIFESTS}spec/{spec.name}/{spec.name}-{spec.version}-{spec.hash}.spec.manifest.json"


def title(spec: LockedSpec) -> str:
    """How a package is called."""
    return f"{spec.name}@{spec.version}/{spec.hash[:7]}"


@dataclass(frozen=True, slots=True)
class CacheRules:
    """How packages are looked at."""

    keys: bytes | None
    is_deep: bool = False
    """Whether archives are read, not only looked for."""


def package_links(
    specs: Sequence[tuple[LockedSpec, Mapping[str, Any]]], caches: Sequence[Store], rules: CacheRules
) -> tuple[Link, ...]:
    """A link for each package, given with its node of the lockfile; the first cache counts that has it."""
    links: dict[str, Link] = {}
    for cache in caches:
        left = [one for one in specs if one[0].hash not in links]
        try:
            links |= _links_of(left, cache, rules)
            if _is_older(cache):
                links |= {spec.hash: unchecked(title(spec), f"{cache.url} {_OLDER}") for spec, _ in left}
        except (CouldNotAskError, FileAccessError) as error:
            links |= {spec.hash: unanswered(title(spec), str(error)) for spec, _ in left}
    return tuple(
        links.get(spec.hash) or broken(title(spec), f"none of the caches has its manifest {manifest_key(spec)}")
        for spec, _ in specs
    )


_OLDER: Final = "has the layout of Spack 0.23 and older, which 'jc mirror verify' reads"


def _is_older(cache: Store) -> bool:
    return cache.look(layout_v3.INDEX) is None and cache.look(layout_v2.INDEX) is not None


def _links_of(
    specs: Sequence[tuple[LockedSpec, Mapping[str, Any]]], cache: Store, rules: CacheRules
) -> dict[str, Link]:
    """A link for each package that a cache has. Raises `CouldNotAskError` and `FileAccessError`."""
    keys = {manifest_key(spec): spec.hash for spec, _ in specs}
    manifests = {keys[key]: content for key, content in read_all(cache, keys) if content is not None}
    signed = {hash_: one.data for hash_, one in manifests.items() if is_signed(one.data)}
    signatures: Mapping[str, Signature] = {}
    if rules.keys and signed:
        with key_ring((rules.keys,)) as ring:
            signatures = ring.verify(signed)
    found = {spec.hash: (spec, node) for spec, node in specs}
    read = {hash_: _read(content, manifest_key(found[hash_][0])) for hash_, content in manifests.items()}
    blobs = {blob.key for one in read.values() for blob in one.blobs}
    sizes = {one.key: one.size for one in look_at_all(cache, sorted(blobs))}
    files = {key: one.data for key, one in read_all(cache, sorted(_spec_blobs(read.values()) & sizes.keys())) if one}
    world = _Cached(cache, sizes, files, rules)
    return {
        hash_: world.link(*found[hash_], content, read[hash_], signatures.get(hash_))
        for hash_, content in manifests.items()
    }


def _read(content: Content, key: str) -> layout_v3.SpecManifest:
    try:
        return layout_v3.read_manifest(content, key)
    except RefusedError as error:
        return layout_v3.SpecManifest("", is_signed=False, blobs=(), damage=str(error))


def _spec_blobs(manifests: Any) -> set[str]:
    return {blob.key for one in manifests if (blob := layout_v3.spec_blob(one))}


@dataclass(frozen=True, slots=True)
class _Cached:
    """What was read of a cache."""

    cache: Store
    sizes: Mapping[str, int]
    files: Mapping[str, bytes]
    rules: CacheRules

    def link(
        self,
        spec: LockedSpec,
        node: Mapping[str, Any],
        content: Content,
        manifest: layout_v3.SpecManifest,
        signature: Signature | None,
    ) -> Link:
        """The link of one package."""
        if manifest.damage:
            return broken(title(spec), f"its manifest: {manifest.damage}")
        links = [
            self._signature(content.data, signature, is_signed=manifest.is_signed),
            self._spec_file(spec, node, manifest),
            self._archive(manifest),
        ]
        wrong = next((one for one in links if one.state is LinkState.BROKEN), None)
        if wrong:
            return broken(title(spec), f"its {wrong.name}: {wrong.said}", *links)
        unclear = next((one for one in links if one.state is LinkState.NOT_CHECKED), None)
        said = f"{self.cache.url} has what is signed" if not unclear else f"its {unclear.name}: {unclear.said}"
        return (unchecked if unclear else holds)(title(spec), said, *links)

    def _signature(self, data: bytes, signature: Signature | None, *, is_signed: bool) -> Link:
        name = "manifest and signature"
        if not is_signed:
            return unchecked(name, "is not signed")
        if self.rules.keys is None:
            return unchecked(name, "the site's public key is needed: --key FILE")
        if fault := next(layout_v3.irregularities(data), message_fault(data)):
            return broken(name, fault)
        if signature is None or signature.state is not State.GOOD:
            state = signature.state if signature else State.UNREADABLE
            said = "is signed by a key that is not the site's" if state is State.NO_KEY else str(state)
            return broken(name, said)
        return holds(name, f"by {signature.fingerprint}")

    def _spec_file(self, spec: LockedSpec, node: Mapping[str, Any], manifest: layout_v3.SpecManifest) -> Link:
        blob = layout_v3.spec_blob(manifest)
        if blob is None:
            return broken("spec file", "the manifest leads to none")
        data = self.files.get(blob.key)
        if data is None:
            return broken("spec file", f"{blob.key} is not there")
        if (found := sha256_of([data])) != blob.key.rpartition("/")[2]:
            return broken("spec file", f"{blob.key} has sha256 {found}")
        try:
            first = read_spec_file(gzip.decompress(data) if data.startswith(_GZIP) else data, blob.key).nodes[0]
        except (DamagedError, RefusedError, OSError, EOFError, zlib.error) as error:
            return broken("spec file", str(error))
        if first.get("hash") != spec.hash:
            return broken("spec file", f"is about /{first.get('hash')}, not /{spec.hash}")
        differ = [name for name in sorted(node) if name != "hash" and first.get(name) != node[name]]
        if differ:
            return broken("spec file", f"says another {', '.join(differ)} than the lockfile")
        return holds("spec file", f"{blob.key}, as in the lockfile")

    def _archive(self, manifest: layout_v3.SpecManifest) -> Link:
        blob = manifest.blob(layout_v3.ARCHIVE_TYPE)
        if blob is None:
            return broken("archive", "the manifest leads to none")
        size = self.sizes.get(blob.key)
        if size is None:
            return broken("archive", f"{blob.key} is not there")
        if size not in (blob.size, -1):
            return broken("archive", f"{blob.key} has {size} bytes, not {blob.size}")
        if not self.rules.is_deep:
            return holds("archive", f"{blob.key} is there in its size; --deep reads it")
        try:
            found = sha256_of(self.cache.stream(blob.key))
        except NotThereError as error:
            return broken("archive", str(error))
        if found != blob.key.rpartition("/")[2]:
            return broken("archive", f"{blob.key} has sha256 {found}")
        return holds("archive", f"{blob.key} has its sha256")


def packages_link(lock: bytes, lockfile: Lockfile, caches: Sequence[Store], rules: CacheRules) -> Link:
    """All packages of a lockfile that Spack installed, and that are not only there to build others."""
    nodes = nodes_in(lock, "spack.lock")
    inside = lockfile.installed()
    specs = [(spec, nodes[spec.hash]) for spec in inside if not spec.is_external]
    external = len(inside) - len(specs)
    others = f"; {external} external ones are of the base image" if external else ""
    if not caches:
        return unchecked("packages", f"{len(specs)}{others}; say where the build cache is: --cache URL")
    links = package_links(specs, caches, rules)
    states = {link.state for link in links}
    worst = next((state for state in (LinkState.BROKEN, LinkState.NO_ANSWER) if state in states), None)
    count = sum(link.state is LinkState.HOLDS for link in links)
    said = f"{count} of {len(links)} are in the cache as they were signed{others}"
    if worst is LinkState.BROKEN:
        # The package itself is named, not all of them.
        return Link("packages", LinkState.NOT_CHECKED, said, links)
    state = worst or (LinkState.HOLDS if count == len(links) else LinkState.NOT_CHECKED)
    return Link("packages", state, said, links)
