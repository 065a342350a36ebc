"""The binaries of a mirror, read as far as they have to be for the checks to judge them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from foundation.spack import layout_v2, layout_v3
from foundation.spack.index import Index
from foundation.spack.specs import is_signed
from job_creator.mirrors.findings import FindingKind, MirrorFinding
from job_creator.mirrors.needs.binaries import manifest_key
from job_creator.mirrors.verification import binary_checks
from job_creator.mirrors.view import Digest, View


@dataclass
class Evidence:
    """What was found so far, and what is left to be read."""

    findings: list[MirrorFinding] = field(default_factory=list)
    specs: dict[str, str] = field(default_factory=dict)
    """What each whole spec is found by, manifest or spec file, by DAG hash."""
    signed: dict[str, bytes] = field(default_factory=dict)
    unsigned: list[str] = field(default_factory=list)
    digests: dict[str, Digest] = field(default_factory=dict)
    packed: set[str] = field(default_factory=set)
    """The keys of what has to be packed by gzip."""
    seen: set[str] = field(default_factory=set)
    """The keys of what was read and judged."""

    def sort(self, key: str, data: bytes) -> None:
        """Note whether what a spec is found by is signed."""
        if is_signed(data):
            self.signed[key] = data
        else:
            self.unsigned.append(key)


def check_v3(view: View, found: Evidence, *, is_deep: bool) -> None:
    """Manifests, indexes and blobs of layout v3; with `is_deep`, what the spec files say."""
    view.ask_for((layout_v3.INDEX, layout_v3.LAYOUT))
    contents = view.read([key for key in view.objects if layout_v3.is_manifest(key)])
    manifests = {key: _manifest(key, data, found) for key, data in contents.items()}
    indexes = _indexes(view, found, manifests)
    if not view.is_listed and layout_v3.INDEX in indexes:
        named = view.read(_cached(indexes[layout_v3.INDEX]))
        contents |= named
        manifests |= {key: _manifest(key, data, found) for key, data in named.items()}
    view.ask_for(blob.key for manifest in manifests.values() for blob in manifest.blobs)
    found.findings += binary_checks.check_blobs(manifests, view.objects, is_listed=view.is_listed, waiting=view.waiting)
    specs = binary_checks.specs_by_hash(manifests)
    for key in specs.values():
        found.sort(key, contents[key])
    for key, index in indexes.items():
        if not index.version:
            continue  # told of already
        found.findings += binary_checks.check_index(key, index, specs, is_view=key != layout_v3.INDEX)
    if specs and not layout_v3.index_manifests(manifests):
        found.findings.append(
            MirrorFinding(FindingKind.MISSING, layout_v3.INDEX, f"there is no index of the {len(specs)} specs")
        )
    for key, data in view.read([layout_v3.LAYOUT]).items():
        found.seen.add(key)
        found.findings += binary_checks.check_layout_file(data)
    found.specs |= {hash_: key for hash_, key in specs.items() if binary_checks.is_whole(manifests[key], view.objects)}
    if is_deep:
        _check_spec_blobs(view, found, specs, manifests, indexes.get(layout_v3.INDEX, Index(0)))


def _manifest(key: str, data: bytes, found: Evidence) -> layout_v3.SpecManifest:
    manifest, findings = binary_checks.check_manifest(key, data)
    found.findings += findings
    found.seen.add(key)
    return manifest


def _indexes(view: View, found: Evidence, manifests: Mapping[str, layout_v3.SpecManifest]) -> dict[str, Index]:
    indexes = {}
    for key in layout_v3.index_manifests(manifests):
        blob = manifests[key].blob(layout_v3.INDEX_TYPE)
        data = view.read([blob.key]).get(blob.key) if blob else None
        if blob and data is not None:
            found.seen.add(blob.key)
            indexes[key], findings = binary_checks.read_checked_index(data, blob.key, blob.media_type)
            found.findings += findings
    return indexes


def _cached(index: Index) -> Iterator[str]:
    """The manifests of the specs that an index lists."""
    for hash_ in index.listed:
        spec = index.records[hash_].spec
        yield manifest_key(spec.name, spec.version, hash_)


def _check_spec_blobs(
    view: View,
    found: Evidence,
    specs: Mapping[str, str],
    manifests: Mapping[str, layout_v3.SpecManifest],
    index: Index,
) -> None:
    places = {blob.key: hash_ for hash_, key in specs.items() if (blob := layout_v3.spec_blob(manifests[key]))}
    for key, data in view.read(places).items():
        found.seen.add(key)
        found.findings += binary_checks.check_content(key, data)
        found.findings += binary_checks.check_spec_file(key, data, places[key], index)[1]
    for manifest in manifests.values():
        found.packed |= {blob.key for blob in manifest.blobs if blob.media_type.startswith(layout_v3.ARCHIVE_TYPE)}


def check_v2(view: View, found: Evidence) -> None:
    """Spec files, the index and archives of layout v2."""
    checked = view.read((layout_v2.INDEX, layout_v2.INDEX_CHECKSUM))
    found.seen |= checked.keys()
    index = Index(0)
    if data := checked.get(layout_v2.INDEX):
        index, findings = binary_checks.read_checked_index(data, layout_v2.INDEX)
        found.findings += (
            *findings,
            *binary_checks.check_index_checksum(data, checked.get(layout_v2.INDEX_CHECKSUM)),
        )
    if not view.is_listed:
        if data:
            message = "layout v2 cannot be checked over HTTP; give the folder or the bucket"
            found.findings.append(MirrorFinding(FindingKind.NOT_CHECKED, layout_v2.FOLDER, message))
        return
    archives = {match[1]: key for key in view.objects if (match := layout_v2.ARCHIVE.fullmatch(key))}
    files = {key: layout_v2.hash_of(key) for key in view.objects if layout_v2.is_spec_file(key)}
    specs = {}
    for key, data in view.read(files).items():
        found.seen.add(key)
        found.sort(key, data)
        file, findings = binary_checks.check_spec_file(key, data, files[key], index)
        found.findings += findings
        if files[key] not in archives:
            found.findings.append(MirrorFinding(FindingKind.MISSING, key, "its archive is not there"))
        elif file:
            specs[files[key]] = key
            found.packed.add(archives[files[key]])
            found.digests[archives[files[key]]] = ("sha256", file.archive_sha256)
    if index.version:
        there = {hash_: key for key, hash_ in files.items()}
        found.findings += binary_checks.check_index(layout_v2.INDEX, index, there)
    elif files and layout_v2.INDEX not in checked:
        found.findings.append(
            MirrorFinding(FindingKind.MISSING, layout_v2.INDEX, f"there is no index of the {len(files)} specs")
        )
    for hash_ in sorted(hash_ for hash_ in archives.keys() - files.values() if archives[hash_] not in view.waiting):
        found.findings.append(MirrorFinding(FindingKind.LEFT_OVER, archives[hash_], "an archive without spec file"))
    found.specs |= {hash_: key for hash_, key in specs.items() if hash_ not in found.specs}
