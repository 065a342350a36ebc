"""The binaries of a build cache, found by the name of their package and read without installing them.

All layouts that Spack writes, in folders, buckets and registries. What is read is held against its checksum.
"""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Protocol

from foundation.errors import DamagedError, RefusedError
from foundation.registries.repository import OciRepository
from foundation.spack import layout_oci, layout_v2, layout_v3
from foundation.spack.specs import SpecFile, read_spec_file
from foundation.stores.store import Content, Store, read_all

_GZIP: Final = b"\x1f\x8b"
_V3_FOLDER: Final = f"{layout_v3.MANIFESTS}spec/"


@dataclass(frozen=True, slots=True)
class CachedBinary:
    """A binary in a cache: its spec file, and where its archive is."""

    hash: str
    """The DAG hash."""
    spec: SpecFile
    archive: str
    """The key of the archive, or its digest in a registry."""
    sha256: str
    """Of the archive; empty where nobody says it."""
    size: int
    """Of the archive, in bytes."""
    layout: str
    """The name of the layout that it was found in."""


class BinaryCache(Protocol):
    """A cache in one layout. Methods raise `CouldNotAskError` and `FileAccessError` when there is no answer."""

    name: str
    """Of the layout."""

    @property
    def url(self) -> str:
        """Of the mirror, for messages."""

    def places(self) -> Mapping[str, str]:
        """What leads to each binary, a key or a tag, by DAG hash."""

    def is_perhaps(self, place: str, name: str) -> bool:
        """Whether what has this place may be a binary of the package; no binary of it is left out."""

    def read(self, places: Mapping[str, str]) -> Iterator[tuple[str, CachedBinary | DamagedError]]:
        """The binaries at these places by DAG hash, or what is wrong with them; without those that are gone."""

    def stream(self, binary: CachedBinary) -> Iterator[bytes]:
        """Its archive in pieces. Raises `NotThereError`."""


@dataclass(frozen=True)
class _InStore:
    """What caches in folders and buckets have in common."""

    store: Store

    @property
    def url(self) -> str:
        return self.store.url

    def stream(self, binary: CachedBinary) -> Iterator[bytes]:
        yield from self.store.stream(binary.archive)


class BinaryCacheV3(_InStore):
    """Layout v3."""

    name = "v3"

    def places(self) -> Mapping[str, str]:
        """Manifests of specs."""
        return {hash_: one.key for one in self.store.list(_V3_FOLDER) if (hash_ := layout_v3.hash_of(one.key))}

    def is_perhaps(self, place: str, name: str) -> bool:
        """The folder of a manifest is the name."""
        return place.startswith(f"{_V3_FOLDER}{name}/")

    def read(self, places: Mapping[str, str]) -> Iterator[tuple[str, CachedBinary | DamagedError]]:
        """Two objects for each: the manifest and the spec file."""
        keys = {key: hash_ for hash_, key in places.items()}
        manifests = {
            key: layout_v3.read_manifest(content, key) for key, content in read_all(self.store, keys) if content
        }
        files = {key: blob.key for key, manifest in manifests.items() if (blob := layout_v3.spec_blob(manifest))}
        data = {key: content for key, content in read_all(self.store, dict.fromkeys(files.values())) if content}
        for key, manifest in manifests.items():
            try:
                yield keys[key], self._binary(keys[key], key, manifest, data)
            except DamagedError as error:
                yield keys[key], error

    def _binary(
        self, hash_: str, key: str, manifest: layout_v3.SpecManifest, data: Mapping[str, Content]
    ) -> CachedBinary:
        if manifest.damage:
            raise DamagedError(manifest.damage)
        archive, file = manifest.blob(layout_v3.ARCHIVE_TYPE), layout_v3.spec_blob(manifest)
        if archive is None or file is None or file.key not in data:
            raise DamagedError(f"{key}: leads to no spec file and archive")
        content = data[file.key].data
        require_digest(content, file.key.rpartition("/")[2], file.key)
        algorithm, _, checksum = archive.key.removeprefix(layout_v3.BLOBS).split("/")
        spec = read_packed_spec(content, hash_, file.key)
        checksum = checksum if algorithm == "sha256" else ""
        return CachedBinary(hash_, spec, archive.key, checksum, archive.size, self.name)


class BinaryCacheV2(_InStore):
    """Layout v2."""

    name = "v2"

    def places(self) -> Mapping[str, str]:
        """Spec files; a signed one is as good as one that is not."""
        keys = (one.key for one in self.store.list(layout_v2.FOLDER))
        return {hash_: key for key in keys if (hash_ := layout_v2.hash_of(key))}

    def is_perhaps(self, place: str, name: str) -> bool:
        """Architecture, compiler, name and version have hyphens between them and in them."""
        return f"-{name}-" in place

    def read(self, places: Mapping[str, str]) -> Iterator[tuple[str, CachedBinary | DamagedError]]:
        """The archives have their DAG hash in their names; all are listed."""
        archives = {
            match[1]: one
            for one in self.store.list(layout_v2.FOLDER)
            if (match := layout_v2.ARCHIVE.fullmatch(one.key))
        }
        keys = {key: hash_ for hash_, key in places.items()}
        for key, content in read_all(self.store, keys):
            if content is None:
                continue
            hash_ = keys[key]
            archive = archives.get(hash_)
            if archive is None:
                yield hash_, DamagedError(f"{key}: its archive is not there")
                continue
            try:
                spec = read_packed_spec(content.data, hash_, key)
            except DamagedError as error:
                yield hash_, error
            else:
                yield hash_, CachedBinary(hash_, spec, archive.key, spec.archive_sha256, archive.size, self.name)


@dataclass(frozen=True)
class RegistryBinaryCache:
    """A cache in a registry."""

    repository: OciRepository
    name = "registry"

    @property
    def url(self) -> str:
        """Of the repository."""
        return self.repository.url

    def places(self) -> Mapping[str, str]:
        """Tags."""
        return layout_oci.spec_tags(self.repository.tags() or ())

    def is_perhaps(self, place: str, name: str) -> bool:
        """The tag begins with the name."""
        return layout_oci.is_perhaps_of(place, name)

    def read(self, places: Mapping[str, str]) -> Iterator[tuple[str, CachedBinary | DamagedError]]:
        """Two requests for each: the manifest and its configuration."""
        with ThreadPoolExecutor(self.repository.workers) as pool:
            for hash_, found in zip(places, pool.map(self._read, places, places.values()), strict=True):
                if found:
                    yield hash_, found

    def stream(self, binary: CachedBinary) -> Iterator[bytes]:
        """The last layer."""
        yield from self.repository.stream(binary.archive)

    def _read(self, hash_: str, tag: str) -> CachedBinary | DamagedError | None:
        found = self.repository.manifest(tag)
        if found is None:
            return None
        try:
            manifest = layout_oci.read_manifest(found.data, tag)
            config = self.repository.blob(manifest.config.digest) or b""
            require_digest(config, manifest.config.digest.partition(":")[2], tag)
            spec = read_packed_spec(config, hash_, tag)
        except DamagedError as error:
            return error
        own = manifest.own
        return CachedBinary(hash_, spec, own.digest, own.digest.partition(":")[2], own.size, self.name)


@dataclass(frozen=True)
class FoundBinaries:
    """The binaries that were asked for, by DAG hash, and why others could not be read."""

    binaries: Mapping[str, CachedBinary]
    damaged: Mapping[str, str]


class Caches:
    """All layouts that a mirror has; the first one that has a binary gives it, as Spack does it.

    What it has is listed once.
    """

    def __init__(self, url: str, layouts: tuple[BinaryCache, ...]) -> None:
        self.url = url
        self._layouts = layouts

    @cached_property
    def _places(self) -> tuple[Mapping[str, str], ...]:
        return tuple(cache.places() for cache in self._layouts)

    def named(self, names: Collection[str]) -> FoundBinaries:
        """All binaries of these packages."""
        found = self._read(
            {hash_: place for hash_, place in places.items() if any(cache.is_perhaps(place, name) for name in names)}
            for cache, places in zip(self._layouts, self._places, strict=True)
        )
        fitting = {hash_: one for hash_, one in found.binaries.items() if one.spec.nodes[0]["name"] in names}
        return FoundBinaries(fitting, found.damaged)

    def with_hashes(self, hashes: Collection[str]) -> FoundBinaries:
        """Those of the binaries that are there."""
        return self._read({hash_: places[hash_] for hash_ in hashes if hash_ in places} for places in self._places)

    def stream(self, binary: CachedBinary) -> Iterator[bytes]:
        """The archive in pieces, all of it. Raises `DamagedError` after the last piece where its checksum is wrong."""
        digest = hashlib.sha256()
        for piece in self._layout_of(binary).stream(binary):
            digest.update(piece)
            yield piece
        if binary.sha256 and digest.hexdigest() != binary.sha256:
            raise DamagedError(f"{self.url}: {binary.archive} has the sha256 {digest.hexdigest()}")

    def _layout_of(self, binary: CachedBinary) -> BinaryCache:
        return next(one for one in self._layouts if one.name == binary.layout)

    def _read(self, wanted: Iterable[Mapping[str, str]]) -> FoundBinaries:
        binaries: dict[str, CachedBinary] = {}
        damaged: dict[str, str] = {}
        for cache, places in zip(self._layouts, wanted, strict=True):
            new = {hash_: place for hash_, place in places.items() if hash_ not in binaries}
            for hash_, found in cache.read(new):
                if isinstance(found, CachedBinary):
                    binaries[hash_] = found
                else:
                    damaged[hash_] = str(found)
        return FoundBinaries(binaries, {hash_: why for hash_, why in damaged.items() if hash_ not in binaries})


def caches_of(place: Store | OciRepository) -> Caches:
    """What a mirror holds. Raises `RefusedError` for a web server, which does not say what it has."""
    if isinstance(place, OciRepository):
        return Caches(place.url, (RegistryBinaryCache(place),))
    if not place.can_be_listed:
        raise RefusedError(f"{place.url}: a web server does not list what it has; give the folder or bucket behind it")
    return Caches(place.url, (BinaryCacheV3(place), BinaryCacheV2(place)))


def read_packed_spec(data: bytes, hash_: str, place: str) -> SpecFile:
    """The spec file of this spec, packed or not. Raises `DamagedError`."""
    try:
        file = read_spec_file(gzip.decompress(data) if data.startswith(_GZIP) else data, place)
        said = file.nodes[0]["hash"]
    except RefusedError as error:
        raise DamagedError(str(error)) from None
    except (OSError, EOFError, zlib.error, KeyError, TypeError):
        raise DamagedError(f"{place}: not a spec file of Spack") from None
    if said != hash_:
        raise DamagedError(f"{place}: describes /{said}, not /{hash_}")
    return file


def require_digest(data: bytes, digest: str, place: str) -> None:
    """Raise `DamagedError` unless the content has this sha256."""
    found = hashlib.sha256(data).hexdigest()
    if found != digest:
        raise DamagedError(f"{place}: has the sha256 {found}")
