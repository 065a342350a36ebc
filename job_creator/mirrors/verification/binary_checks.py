"""The binaries in a mirror: manifests against blobs, indexes against manifests. Pure; content is read before.

Source of the formats: `job_creator/build_cache`.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

from foundation.errors import DamagedError, RefusedError
from foundation.spack import layout_v2, layout_v3
from foundation.spack.index import Index, IndexRecord, read_index
from foundation.spack.releases import DATABASE_OF_SPECFILE
from foundation.spack.specs import SpecFile, read_spec_file
from foundation.stores.store import Content, StoredObject
from job_creator.mirrors.findings import FindingKind, MirrorFinding

_TYPES: Final = (
    (layout_v3.SPEC_MANIFEST, (layout_v3.ARCHIVE_TYPE, layout_v3.SPEC_TYPE)),
    (layout_v3.INDEX_MANIFEST, (layout_v3.INDEX_TYPE,)),
    (layout_v3.KEY_MANIFEST, (layout_v3.KEY_TYPE,)),
)
_KEY_INDEX_TYPES: Final = (layout_v3.KEY_INDEX_TYPE,)
_CHANGED_DIGITS: Final = 4
"""In two names of blobs by chance: never. A changed byte is a digit, and one of the first two digits counts twice."""
_GZIP: Final = b"\x1f\x8b"


def check_manifest(key: str, data: bytes) -> tuple[layout_v3.SpecManifest, tuple[MirrorFinding, ...]]:
    """A manifest, and everything that is wrong with it by itself."""
    try:
        manifest = layout_v3.read_manifest(Content(data, ""), key)
    except RefusedError as error:
        manifest = layout_v3.SpecManifest("", is_signed=False, blobs=(), damage=str(error))
    if manifest.damage:
        return manifest, (MirrorFinding(FindingKind.MANIFEST, key, manifest.damage.removeprefix(f"{key}: ")),)
    findings = [MirrorFinding(FindingKind.MANIFEST, key, reason) for reason in layout_v3.irregularities(data)]
    wanted = next((types for pattern, types in _TYPES if pattern.fullmatch(key)), None)
    wanted = _KEY_INDEX_TYPES if key == layout_v3.KEY_INDEX else wanted
    if wanted is None:
        findings.append(MirrorFinding(FindingKind.NAME, key, "lies where manifests lie, and has no name of one"))
    elif len(manifest.blobs) != len(wanted) or not all(map(manifest.blob, wanted)):
        findings.append(
            MirrorFinding(FindingKind.MANIFEST, key, "does not lead to what a manifest of this name leads to")
        )
    return manifest, tuple(findings)


def check_blobs(
    manifests: Mapping[str, layout_v3.SpecManifest],
    objects: Mapping[str, StoredObject],
    *,
    is_listed: bool,
    waiting: Collection[str] = (),
) -> Iterator[MirrorFinding]:
    """Whether all that manifests lead to is there, in the size that they say, and whether there is more.

    What is `waiting` for its time of grace to pass after a cleaning is nothing too much.
    """
    used = {blob.key for manifest in manifests.values() for blob in manifest.blobs}
    rest = sorted(key for key in objects if key.startswith(layout_v3.BLOBS) and key not in used) if is_listed else []
    for key, manifest in manifests.items():
        for blob in manifest.blobs:
            there = objects.get(blob.key)
            if there is None:
                yield _missing(key, blob.key, rest)
            elif not there.leads_to and there.size not in (blob.size, -1):
                yield MirrorFinding(
                    FindingKind.SIZE, blob.key, f"has {there.size} bytes, not {blob.size} as {key} says"
                )
    rest = [key for key in rest if key not in waiting]
    if rest:
        more = f", nor to {len(rest) - 1} more" if len(rest) > 1 else ""
        yield MirrorFinding(FindingKind.LEFT_OVER, rest[0], f"no manifest leads to it{more}")


def _missing(manifest: str, blob: str, rest: Iterable[str]) -> MirrorFinding:
    """A blob that is not there: because it is gone, or because the manifest does not say what it once said."""
    for other in rest:
        if sum(one != two for one, two in zip(blob, other, strict=False)) <= _CHANGED_DIGITS:
            return MirrorFinding(
                FindingKind.MANIFEST, manifest, f"leads to {blob}; there is only {other}, so it was changed"
            )
    return MirrorFinding(FindingKind.MISSING, blob, f"is not there, and {manifest} leads to it")


def specs_by_hash(manifests: Iterable[str]) -> dict[str, str]:
    """The manifests of specs by DAG hash."""
    matches = {key: layout_v3.SPEC_MANIFEST.fullmatch(key) for key in manifests}
    return {match[1]: key for key, match in matches.items() if match}


def is_whole(manifest: layout_v3.SpecManifest, objects: Collection[str]) -> bool:
    """Whether a spec could be installed."""
    return bool(manifest.blobs) and all(blob.key in objects for blob in manifest.blobs)


def read_checked_index(data: bytes, place: str, media_type: str = "") -> tuple[Index, tuple[MirrorFinding, ...]]:
    """An index, and what is wrong with it by itself. `media_type` is the one that its manifest says."""
    findings = list(check_content(place, data)) if media_type else []
    try:
        index = read_index(data, place)
    except (DamagedError, RefusedError) as error:
        return Index(0), (*findings, MirrorFinding(FindingKind.INDEX, place, str(error).removeprefix(f"{place}: ")))
    if media_type and media_type != f"{layout_v3.INDEX_TYPE}v{index.version}+json":
        findings.append(
            MirrorFinding(FindingKind.INDEX, place, f"is of version {index.version}, its manifest says {media_type!r}")
        )
    return index, tuple(findings)


def check_index(key: str, index: Index, specs: Mapping[str, str], *, is_view: bool = False) -> Iterator[MirrorFinding]:
    """An index against the specs that are there, whole or not: their manifests or spec files by DAG hash."""
    for hash_ in sorted(index.listed - specs.keys()):
        yield MirrorFinding(FindingKind.INDEX, key, "lists it, and it is not there", str(index.records[hash_].spec))
    for hash_ in sorted(specs.keys() - index.listed) if not is_view else ():
        yield MirrorFinding(FindingKind.INDEX, key, f"does not list {specs[hash_]}")
    for hash_ in sorted(index.listed & specs.keys()):
        spec, place = index.records[hash_].spec, specs[hash_]
        folder = f"{layout_v3.MANIFESTS}spec/{spec.name}/{spec.name}-"
        if place.startswith(layout_v3.MANIFESTS) and not place.startswith(folder):
            yield MirrorFinding(FindingKind.NAME, place, "is not named as the index says", str(spec))


def check_content(key: str, data: bytes) -> Iterator[MirrorFinding]:
    """Hold the content of a blob against its name, which is its checksum."""
    found, said = hashlib.sha256(data).hexdigest(), key.rpartition("/")[2]
    if found != said:
        yield MirrorFinding(FindingKind.CHECKSUM, key, f"has the sha256 {found}")


def check_spec_file(
    place: str, data: bytes, hash_: str, index: Index
) -> tuple[SpecFile | None, tuple[MirrorFinding, ...]]:
    """The spec file of a spec, and what is wrong with it: by itself, and against what the index says."""
    try:
        file = read_spec_file(gzip.decompress(data) if data.startswith(_GZIP) else data, place)
        said = file.nodes[0].get("hash")
    except (DamagedError, RefusedError) as error:
        return None, (MirrorFinding(FindingKind.MANIFEST, place, str(error).removeprefix(f"{place}: ")),)
    except (OSError, EOFError, zlib.error, AttributeError) as error:
        return None, (MirrorFinding(FindingKind.MANIFEST, place, f"cannot be read ({error})"),)
    if said != hash_:
        return None, (MirrorFinding(FindingKind.MANIFEST, place, f"describes /{said}, not /{hash_}"),)
    record = index.records.get(hash_)
    if record and DATABASE_OF_SPECFILE[file.version] == index.version and file.nodes[0] != _node(index, record):
        return file, (MirrorFinding(FindingKind.INDEX, place, "says something else than the index", str(record.spec)),)
    return file, ()


def _node(index: Index, record: IndexRecord) -> object:
    return json.loads(index.text[record.start : record.end])["spec"]


def check_index_checksum(index: bytes, checksum: bytes | None) -> Iterator[MirrorFinding]:
    """The index of layout v2 against the checksum beside it."""
    said = checksum.decode(errors="replace") if checksum is not None else ""
    if said.strip() != hashlib.sha256(index).hexdigest() or said.strip("\n") != said.strip():
        yield MirrorFinding(FindingKind.INDEX, layout_v2.INDEX, f"does not fit {layout_v2.INDEX_CHECKSUM}")


def check_layout_file(data: bytes) -> Iterator[MirrorFinding]:
    """The file that says how the cache is signed."""
    try:
        text = data.decode()
        is_known = layout_v3.is_plain_json(text) and json.loads(text) == {"signing": "gpg"}
    except ValueError:
        is_known = False
    if not is_known:
        yield MirrorFinding(FindingKind.MANIFEST, layout_v3.LAYOUT, "does not say what Spack writes there")
