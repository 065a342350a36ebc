"""Build caches as places where the papers and archives of packages are looked for, in each of Spack's layouts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

from foundation.doors.files import read_file
from foundation.errors import CouldNotAskError, DamagedError, Fault, FileAccessError, InvalidInputError, RefusedError
from foundation.registries.logins import logins
from foundation.registries.repository import OciRepository
from foundation.spack import layout_oci, layout_v2, layout_v3
from foundation.spack.lockfile import LockedSpec
from foundation.stores.bucket import S3Store
from foundation.stores.opening import open_store
from foundation.stores.s3_client import NO_KEYS, S3Keys, endpoint_of, parse_s3_url
from foundation.stores.schemes import BUCKET, REGISTRY, kind_of
from foundation.stores.store import Content, Store, read_all
from foundation.yaml_io import load
from job_creator.proving.papers import CacheLayout, PackagePapers

LockedNode = tuple[LockedSpec, Mapping[str, Any]]
"""A spec of a lockfile, and its node there."""
CACHE_KEYS: Final = ("CACHE_AWS_ACCESS_KEY_ID", "CACHE_AWS_SECRET_ACCESS_KEY")
"""The variables with the keys of caches whose configuration cannot name them (Spack 0.23 and older)."""

_Item = TypeVar("_Item")
_Answer = TypeVar("_Answer")


class CacheShelf(Protocol):
    """A build cache. All methods raise `CouldNotAskError` or `FileAccessError` where there is no answer."""

    @property
    def url(self) -> str:
        """Where it is, without credentials."""

    def papers(self, specs: Sequence[LockedNode]) -> dict[str, PackagePapers]:
        """The papers of those packages that are there, by DAG hash."""

    def sizes(self, keys: Sequence[str]) -> dict[str, int]:
        """The sizes in bytes of those archives that are there; -1 where the server does not say it."""

    def stream(self, key: str) -> Iterator[bytes]:
        """The content of an archive. Raises `NotThereError`."""


def manifest_key(spec: LockedSpec) -> str:
    """Where a cache of layout v3 has the manifest of a package."""
    return f"{layout_v3.MANIFESTS}spec/{spec.name}/{spec.name}-{spec.version}-{spec.hash}.spec.manifest.json"


class StoreShelf:
    """A cache in a bucket, in a folder or on a web server, of layout v3 or v2, or with packages of both."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.url = store.url

    def papers(self, specs: Sequence[LockedNode]) -> dict[str, PackagePapers]:
        """Of layout v3 as far as that is there, and of v2 for the others."""
        found = self._of_v3(specs)
        left = [one for one in specs if one[0].hash not in found]
        return found | self._of_v2(left) if left and self._store.look(layout_v2.INDEX) else found

    def _of_v3(self, specs: Sequence[LockedNode]) -> dict[str, PackagePapers]:
        keys = {manifest_key(spec): spec.hash for spec, _ in specs}
        manifests = {key: content for key, content in read_all(self._store, keys) if content is not None}
        blobs = {key: blob for key, content in manifests.items() if (blob := _spec_blob(content, key))}
        files = dict(read_all(self._store, dict.fromkeys(blobs.values())))

        def spec_file(key: str) -> bytes:
            content = files.get(blobs.get(key, ""))
            return content.data if content else b""

        return {
            keys[key]: PackagePapers(CacheLayout.V3, self.url, key, content.data, spec_file(key))
            for key, content in manifests.items()
        }

    def _of_v2(self, specs: Sequence[LockedNode]) -> dict[str, PackagePapers]:
        keys = {key: spec.hash for spec, node in specs for key in layout_v2.spec_files_of(node)}
        found: dict[str, PackagePapers] = {}
        for key, content in read_all(self._store, keys):
            if content is not None:
                found.setdefault(keys[key], PackagePapers(CacheLayout.V2, self.url, key, content.data))
        return found

    def sizes(self, keys: Sequence[str]) -> dict[str, int]:
        """Asked for one by one."""
        answers = _asked(self._store.workers, self._store.look, keys)
        return {found.key: found.size for found in answers if found}

    def stream(self, key: str) -> Iterator[bytes]:
        """The content of an archive. Raises `NotThereError`."""
        return self._store.stream(key)


def _spec_blob(content: Content, key: str) -> str:
    try:
        blob = layout_v3.spec_blob(layout_v3.read_manifest(content, key))
    except RefusedError:
        return ""
    return blob.key if blob else ""


class RegistryShelf:
    """A cache in a registry, where nothing is signed."""

    def __init__(self, repository: OciRepository) -> None:
        self._repository = repository
        self.url = repository.url

    def papers(self, specs: Sequence[LockedNode]) -> dict[str, PackagePapers]:
        """What the tags of the packages lead to."""
        answers = _asked(self._repository.workers, self._papers, [spec for spec, _ in specs])
        return {spec.hash: one for (spec, _), one in zip(specs, answers, strict=True) if one}

    def _papers(self, spec: LockedSpec) -> PackagePapers | None:
        tag = layout_oci.tag_of(spec.name, spec.version, spec.hash)
        manifest = self._repository.manifest(tag)
        if manifest is None:
            return None
        try:
            config = self._repository.blob(layout_oci.read_manifest(manifest.data, tag).config.digest)
        except DamagedError:
            config = None
        return PackagePapers(CacheLayout.OCI, self.url, tag, manifest.data, config or b"")

    def sizes(self, keys: Sequence[str]) -> dict[str, int]:
        """Asked for one by one."""
        answers = _asked(self._repository.workers, self._repository.blob_size, keys)
        return {key: size for key, size in zip(keys, answers, strict=True) if size is not None}

    def stream(self, key: str) -> Iterator[bytes]:
        """The content of an archive. Raises `NotThereError`."""
        return self._repository.stream(key)


def _asked(workers: int, ask: Callable[[_Item], _Answer], items: Sequence[_Item]) -> list[_Answer]:
    with ThreadPoolExecutor(workers) as pool:
        return [*pool.map(ask, items)]


def open_shelf(
    url: str, endpoint: str | None, environment: Mapping[str, str], keys: S3Keys | None = None
) -> CacheShelf:
    """The build cache at a URL. Raises `ValueError` for one that names none, `NotThereError`, `CouldNotAskError`."""
    if kind_of(url) is REGISTRY:
        return RegistryShelf(OciRepository(url, logins(environment)))
    if keys and kind_of(url) is BUCKET:
        return StoreShelf(S3Store(parse_s3_url(url), endpoint or endpoint_of(environment), keys=keys))
    return StoreShelf(open_store(url, endpoint, environment))


def shelves_of(mirrors: Mapping[str, Any], environment: Mapping[str, str]) -> Iterator[CacheShelf]:
    """The build caches among the mirrors of Spack's configuration (`mirrors:`), in the order in which Spack asks them.

    Keys are those in the variables that the configuration names. Whoever writes it can name any variable, and a server
    to send it to: it must not be that of an environment. Raises `ValueError`, `NotThereError` and `CouldNotAskError`.
    """
    for found in mirrors.values():
        mirror: Mapping[str, Any] = found if isinstance(found, Mapping) else {"url": str(found)}
        if mirror.get("binary") is False:
            continue
        fetched = mirror.get("fetch") or {}
        place = {**mirror, **(fetched if isinstance(fetched, Mapping) else {"url": str(fetched)})}
        if url := str(place.get("url") or ""):
            yield open_shelf(url, place.get("endpoint_url"), environment, _keys(place, environment))


def shelves_in(path: Path, environment: Mapping[str, str]) -> tuple[CacheShelf, ...]:
    """The build caches in a file with Spack's configuration of mirrors.

    Raises `InvalidInputError`, `FileAccessError`, `NotThereError` and `CouldNotAskError`.
    """
    try:
        value = load(read_file(path), str(path))
        return tuple(shelves_of(value.get("mirrors") or {}, environment))
    except (ValueError, AttributeError) as error:
        raise InvalidInputError([Fault(str(path), 1, 1, f"has no mirrors that can be read: {error}")]) from None


def _keys(place: Mapping[str, Any], environment: Mapping[str, str]) -> S3Keys:
    """Those that are named; without, none: the keys in the environment are those of another bucket."""
    pair = place.get("access_pair")
    named = (pair.get("id_variable"), pair.get("secret_variable")) if isinstance(pair, Mapping) else CACHE_KEYS
    values = [environment.get(str(name), "") for name in named]
    return S3Keys(*values) if all(values) else NO_KEYS


def papers_of(
    specs: Iterable[LockedNode], shelves: Iterable[CacheShelf]
) -> tuple[dict[str, PackagePapers], tuple[str, ...]]:
    """The papers of packages, from the first cache that has them, by DAG hash; and why a cache gave no answer."""
    left = {spec.hash: (spec, node) for spec, node in specs}
    found: dict[str, PackagePapers] = {}
    problems: list[str] = []
    for shelf in shelves:
        try:
            found |= shelf.papers([*left.values()])
        except (CouldNotAskError, FileAccessError) as error:
            problems.append(str(error))
        left = {hash_: one for hash_, one in left.items() if hash_ not in found}
    return found, tuple(problems)
