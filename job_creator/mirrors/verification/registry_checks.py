"""The binaries in a registry: tags against manifests, blobs, specs and the index. Pure; content is read before.

Source of the format: `foundation/spack/layout_oci.py`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping

from foundation.errors import DamagedError
from foundation.spack import layout_oci
from foundation.spack.index import Index
from foundation.spack.layout_oci import Descriptor, ImageManifest
from job_creator.mirrors.findings import FindingKind, MirrorFinding
from job_creator.mirrors.verification import binary_checks


def check_tags(tags: Collection[str]) -> Iterator[MirrorFinding]:
    """What there is besides specs, and what no look at a registry can tell."""
    specs = layout_oci.spec_tags(tags)
    if specs and layout_oci.INDEX_TAG not in tags:
        yield MirrorFinding(FindingKind.MISSING, layout_oci.INDEX_TAG, f"there is no index of the {len(specs)} specs")
    if others := sorted({*tags} - {*specs.values(), layout_oci.INDEX_TAG}):
        more = f" and {len(others) - 1} more" if len(others) > 1 else ""
        yield MirrorFinding(FindingKind.NOT_CHECKED, others[0] + more, "no tags of a build cache")
    message = "nothing in a registry is signed: whoever may push there decides what is installed"
    yield MirrorFinding(FindingKind.NOT_CHECKED, "signatures", message)


def check_manifest(tag: str, data: bytes, said: str) -> tuple[ImageManifest | None, tuple[MirrorFinding, ...]]:
    """A manifest against the digest that the registry says it has (or empty); `None` for one that cannot be read."""
    found = f"sha256:{hashlib.sha256(data).hexdigest()}"
    wrong = (
        ()
        if said in ("", found)
        else (MirrorFinding(FindingKind.CHECKSUM, tag, f"has the digest {found}, not {said}"),)
    )
    try:
        return layout_oci.read_manifest(data, tag), wrong
    except DamagedError as error:
        return None, (*wrong, MirrorFinding(FindingKind.MANIFEST, tag, str(error).removeprefix(f"{tag}: ")))


def check_blobs(manifests: Mapping[str, ImageManifest], sizes: Mapping[str, int | None]) -> Iterator[MirrorFinding]:
    """Whether all that manifests lead to is there in the size that they say; `None` is not there, -1 is not known."""
    for tag, manifest in manifests.items():
        for blob in manifest.blobs:
            size = sizes.get(blob.digest)
            if size is None:
                yield MirrorFinding(FindingKind.MISSING, blob.digest, f"is not there, and {tag} leads to it")
            elif size not in (blob.size, -1):
                yield MirrorFinding(FindingKind.SIZE, blob.digest, f"has {size} bytes, not {blob.size} as {tag} says")


def is_whole(manifest: ImageManifest, sizes: Mapping[str, int | None]) -> bool:
    """Whether a spec could be installed."""
    return all(sizes.get(blob.digest) is not None for blob in manifest.blobs)


def check_content(blob: Descriptor, data: bytes) -> Iterator[MirrorFinding]:
    """A blob that was read against its name and its size."""
    found = f"sha256:{hashlib.sha256(data).hexdigest()}"
    if found != blob.digest:
        yield MirrorFinding(FindingKind.CHECKSUM, blob.digest, f"has the digest {found}")


def check_spec(tag: str, hash_: str, manifest: ImageManifest, config: bytes, index: Index) -> Iterator[MirrorFinding]:
    """The spec in a configuration against its tag, its archive and the index."""
    file, findings = binary_checks.check_spec_file(tag, config, hash_, index)
    yield from findings
    if file is None:
        return
    node = file.nodes[0]
    named = layout_oci.tag_of(str(node.get("name")), str(node.get("version")), hash_)
    if named != tag:
        yield MirrorFinding(FindingKind.NAME, tag, f"leads to a spec whose tag is {named}")
    if manifest.own.digest != f"sha256:{file.archive_sha256}":
        yield MirrorFinding(FindingKind.MANIFEST, tag, f"its last layer is {manifest.own.digest}, not that of its spec")


def check_index(data: bytes, specs: Mapping[str, str]) -> tuple[Index, tuple[MirrorFinding, ...]]:
    """The index against the tags of specs by DAG hash."""
    index, findings = binary_checks.read_checked_index(data, layout_oci.INDEX_TAG)
    if not index.version:
        return index, findings
    return index, (*findings, *binary_checks.check_index(layout_oci.INDEX_TAG, index, specs))


def archives(manifests: Iterable[ImageManifest], sizes: Mapping[str, int | None]) -> dict[str, int]:
    """The sizes in bytes, as the manifests say them, of the layers that are there, by digest."""
    layers = {layer.digest: layer.size for manifest in manifests for layer in manifest.layers}
    return {digest: size for digest, size in layers.items() if sizes.get(digest) is not None}
