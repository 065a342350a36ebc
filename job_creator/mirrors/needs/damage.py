"""Sources and binaries that a mirror has with the wrong content: read, and held against its checksums.

Each source is read once: what was found right is remembered until the file changes. Binaries, and sources once more,
are read when that is asked for.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Final

from foundation.doors.blocks import sha256_of
from foundation.errors import DamagedError, NotThereError, RefusedError
from foundation.registries.repository import OciRepository
from foundation.spack import layout_oci, layout_v2, layout_v3
from foundation.spack.source_needs import SourceNeeds
from foundation.spack.specs import read_spec_file
from foundation.stores.documents import json_of
from foundation.stores.store import Content, Store, StoredObject
from job_creator.mirrors.contents import VERIFIED_KEY
from job_creator.mirrors.needs.binaries import LISTED, archive_keys, manifest_key, manifest_keys
from job_creator.mirrors.needs.plan import MirrorItem, MirrorPlan, Status
from job_creator.mirrors.places import MirrorPlace
from job_creator.mirrors.view import Digest, View, look_into, read_through

_READ_AT_ONCE: Final = 4
_SOURCE: Final = "what is there does not have the checksum of the recipe; it is fetched anew"
_BINARY: Final = "what is there does not have its checksum; it is pushed anew"


@dataclass(frozen=True)
class CheckedPlan:
    """A plan in which what is damaged counts as missing, and which sources are known to be right, to be remembered."""

    plan: MirrorPlan
    verified: Mapping[str, str] = field(default_factory=dict)
    is_news: bool = False
    """Whether something is to be remembered that was not."""


def check(found: MirrorPlan, place: MirrorPlace | None, *, again: bool) -> CheckedPlan:
    """Hold what the mirror has against its checksums; `again`, also binaries and what was found right before.

    Behind web servers, sources are only read `again`. Raises `CouldNotAskError` and `FileAccessError`.
    """
    present = found.of(Status.PRESENT)
    sources = [item for item in present if item.source]
    before: dict[str, str] = {}
    verified: dict[str, str] = {}
    wrong: set[str] = set()
    if sources and place and not isinstance(place, OciRepository) and (place.can_be_listed or again):
        before = _remembered(place)
        verified = dict(before)
        wrong.update(_damaged_sources(place, sources, verified, again=again))
    hashes = [item.path for item in present if item.source is None]
    if again and hashes and place:
        wrong |= damaged_binaries(place, hashes, found.needs)
    items = (
        replace(item, status=Status.MISSING, reason=_SOURCE if item.source else _BINARY) if item.path in wrong else item
        for item in found.items
    )
    return CheckedPlan(replace(found, items=tuple(items)), verified, verified != before)


def _damaged_sources(
    store: Store, items: Collection[MirrorItem], verified: dict[str, str], *, again: bool
) -> Iterator[str]:
    view = look_into(store, *sorted({f"{item.path.partition('/')[0]}/" for item in items}))
    view.ask_for(item.path for item in items)
    marks = {
        item.path: _mark(view.objects[item.path], item.source.sha256)
        for item in items
        if item.source and item.source.sha256 and item.path in view.objects
    }
    wanted = {
        item.path: ("sha256", item.source.sha256)
        for item in items
        if item.source and item.path in marks and (again or verified.get(item.path) != marks[item.path])
    }
    for one in read_through(store, wanted, _READ_AT_ONCE):
        if one.digest == wanted[one.key][1]:
            verified[one.key] = marks[one.key]
        else:
            verified.pop(one.key, None)
            yield one.key


def damaged_binaries(place: MirrorPlace, hashes: Collection[str], needs: SourceNeeds) -> frozenset[str]:
    """Those of the binaries with these DAG hashes that are there, and not with the content that they should have.

    `needs` are of all of them. Raises `CouldNotAskError`.
    """
    if isinstance(place, OciRepository):
        return _in_registry(place, hashes)
    view = look_into(place, *LISTED)
    wanted = {**_of_v3(view, hashes, needs), **_of_v2(view, hashes)}
    digests = {key: digest for digests in wanted.values() for key, digest in digests.items()}
    read = {one.key: one.digest for one in read_through(place, digests, _READ_AT_ONCE)}
    return frozenset(
        hash_ for hash_, digests in wanted.items() if any(read[key] != said for key, (_, said) in digests.items())
    )


def _of_v3(view: View, hashes: Collection[str], needs: SourceNeeds) -> dict[str, dict[str, Digest]]:
    """The blobs of binaries with their checksums, by DAG hash."""
    keys = manifest_keys(view.objects)
    if not view.store.can_be_listed:
        packages = [needs.packages[hash_] for hash_ in hashes]
        keys = {one.hash: manifest_key(one.name, one.version, one.hash) for one in packages}
    wanted = {keys[hash_]: hash_ for hash_ in hashes if hash_ in keys}
    found: dict[str, dict[str, Digest]] = {}
    for key, data in view.read(wanted).items():
        manifest = layout_v3.read_manifest(Content(data, ""), key)
        found[wanted[key]] = {view.target(blob.key): ("sha256", blob.key.rpartition("/")[2]) for blob in manifest.blobs}
    return found


def _of_v2(view: View, hashes: Collection[str]) -> dict[str, dict[str, Digest]]:
    archives = archive_keys(view.objects)
    spec_files = {key: layout_v2.hash_of(key) for key in view.objects}
    files = {key: hash_ for key, hash_ in spec_files.items() if hash_ in hashes and hash_ in archives}
    found: dict[str, dict[str, Digest]] = {}
    for key, data in view.read(files).items():
        try:
            said = read_spec_file(data, key).archive_sha256
        except (DamagedError, RefusedError):
            said = ""
        found[files[key]] = {archives[files[key]]: ("sha256", said)}
    return found


def _in_registry(repository: OciRepository, hashes: Collection[str]) -> frozenset[str]:
    tags = {hash_: tag for hash_, tag in layout_oci.spec_tags(repository.tags() or ()).items() if hash_ in hashes}
    blobs: dict[str, tuple[str, ...]] = {}
    wrong: set[str] = set()
    with ThreadPoolExecutor(repository.workers) as pool:
        for hash_, found in zip(tags, pool.map(repository.manifest, tags.values()), strict=True):
            try:
                manifest = layout_oci.read_manifest(found.data, "") if found else None
            except DamagedError:
                manifest = None
            if found is None or manifest is None or found.said not in ("", found.digest):
                wrong.add(hash_)
            else:
                blobs[hash_] = tuple(blob.digest for blob in manifest.blobs)
        digests = tuple(dict.fromkeys(digest for some in blobs.values() for digest in some))
        right = {one for one, is_right in zip(digests, pool.map(_reads(repository), digests), strict=True) if is_right}
    return frozenset(wrong | {hash_ for hash_, some in blobs.items() if not right.issuperset(some)})


def _reads(repository: OciRepository) -> Callable[[str], bool]:
    def read(digest: str) -> bool:
        try:
            return f"sha256:{sha256_of(repository.stream(digest))}" == digest
        except NotThereError:
            return False

    return read


def _remembered(store: Store) -> dict[str, str]:
    content = store.read(VERIFIED_KEY)
    try:
        value = json_of(content.data) if content else {}
    except ValueError:
        return {}
    return {str(key): str(mark) for key, mark in value.items()} if isinstance(value, Mapping) else {}


def verified_as_json(verified: Mapping[str, str]) -> bytes:
    """What was found right, as it is kept in the mirror."""
    return json.dumps(dict(verified), indent=0, sort_keys=True).encode()


def _mark(found: StoredObject, sha256_wanted: str) -> str:
    return f"{found.tag} {found.size} {sha256_wanted}"
