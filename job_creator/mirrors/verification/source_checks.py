"""The sources in a mirror: what their names say of their content, what is missing, and which packages that stops. Pure.

Source of the layout: lib/spack/spack/mirrors/layout.py and `mirror_id` in lib/spack/spack/fetch_strategy.py of Spack
v0.21 to v1.1. The kind of a checksum is known by its length (lib/spack/spack/util/crypto.py).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

from foundation.spack.lockfile import Lockfile
from foundation.spack.source_needs import PackageNeeds, Source, SourceNeeds
from foundation.stores.store import StoredObject
from job_creator.mirrors.findings import FindingKind, MirrorFinding
from job_creator.mirrors.view import Digest

SOURCES: Final = "_source-cache/"
_ARCHIVE: Final = re.compile(r"(?:.*/)?(?:_source-cache/archive|blobs/sha256)/(?P<start>[^/]+)/(?P<digest>[^/.]+)[^/]*")
_ALGORITHMS: Final = {32: "md5", 40: "sha1", 56: "sha224", 64: "sha256", 96: "sha384", 128: "sha512"}
_HEXADECIMAL: Final = re.compile(r"[0-9a-f]+")


def digest_in(key: str) -> Digest | None:
    """What the name of an object says that its content is; `None` if it does not."""
    match = _ARCHIVE.fullmatch(key)
    if not match or not _HEXADECIMAL.fullmatch(match["digest"]):
        return None
    algorithm = _ALGORITHMS.get(len(match["digest"]))
    return (algorithm, match["digest"]) if algorithm and match["digest"].startswith(match["start"]) else None


def expected_digests(objects: Mapping[str, StoredObject], needs: SourceNeeds) -> dict[str, Digest]:
    """What the content of objects has to be, by key: as their names say, or as the record of what is needed does."""
    found = {key: digest for key, one in objects.items() if not one.leads_to and (digest := digest_in(key))}
    for package in needs.packages.values():
        for source in package.sources:
            for key in (source.path, *source.links) if source.sha256 else ():
                if key in objects and not objects[key].leads_to:
                    found.setdefault(key, ("sha256", source.sha256))
    return found


def names_and_links(objects: Mapping[str, StoredObject], *, is_listed: bool) -> Iterator[MirrorFinding]:
    """Files whose names are not those of any content, empty ones, and links that lead nowhere."""
    for key, one in objects.items():
        if one.leads_to:
            if one.leads_to.startswith(("/", "../")):
                yield MirrorFinding(FindingKind.LINK, key, f"leads out of the mirror, to {one.leads_to}")
            elif is_listed and one.leads_to not in objects:
                yield MirrorFinding(FindingKind.LINK, key, f"leads to {one.leads_to}, which is not there")
        elif _ARCHIVE.fullmatch(key) and not digest_in(key):
            yield MirrorFinding(FindingKind.NAME, key, "lies where the name is the checksum, and has none for a name")
        elif digest_in(key) and one.size == 0:
            yield MirrorFinding(FindingKind.CHECKSUM, key, "is empty")
        elif key.startswith(SOURCES) and not digest_in(key):
            yield MirrorFinding(FindingKind.NOT_CHECKED, key, "a checkout; Spack knows no checksum for it")


def absent(package: PackageNeeds, objects: Collection[str]) -> tuple[Source, ...]:
    """The sources of a package that could be in the mirror, and are not."""
    return tuple(one for one in package.sources if not one.obstacle and one.path not in objects)


def recorded_sources(
    needs: SourceNeeds, objects: Collection[str], binaries: Collection[str]
) -> Iterator[MirrorFinding]:
    """What the mirror was filled for. What there is a binary of can do without its sources."""
    for hash_, package in needs.packages.items():
        if hash_ in binaries:
            continue
        yield from (_missing(package, source) for source in absent(package, objects))
        for source in package.sources:
            if source.obstacle:
                yield MirrorFinding(
                    FindingKind.NEVER, source.path, source.obstacle, str(package), source.urls, source.sha256
                )
            elif not source.sha256 and not digest_in(source.path) and source.path in objects:
                message = f"{source.kind}: the recipe has no checksum for it"
                yield MirrorFinding(FindingKind.NOT_CHECKED, source.path, message, str(package), source.urls)


def coverage(
    lockfile: Lockfile, needs: SourceNeeds, objects: Collection[str], binaries: Collection[str]
) -> Iterator[MirrorFinding]:
    """Whether all that the roots of a lockfile need can be installed from the mirror, from a binary or from sources.

    What is only needed to build something that is there as a binary is not looked at, and neither are externals.
    """
    todo = [*lockfile.roots, *lockfile.included_roots]
    seen: set[str] = set()
    while todo:
        hash_ = todo.pop()
        spec = lockfile.specs.get(hash_)
        if hash_ in seen or spec is None or spec.is_external:
            continue
        seen.add(hash_)
        todo += spec.runtime_dependencies if hash_ in binaries else spec.dependencies
        if hash_ in binaries:
            continue
        name = f"{spec.name}@{spec.version}/{hash_[:7]}"
        if package := needs.packages.get(hash_):
            yield from _obstacles(package)
            yield from (_missing(package, source) for source in absent(package, objects))
        else:
            message = "no binary, and no record of its sources; 'jc mirror create' with this lockfile makes one"
            yield MirrorFinding(FindingKind.MISSING, "", message, name)


def _obstacles(package: PackageNeeds) -> Iterator[MirrorFinding]:
    for source in package.sources:
        if source.obstacle:
            message = f"no binary, and its {source.kind} can never be mirrored: {source.obstacle}"
            yield MirrorFinding(FindingKind.MISSING, source.path, message, str(package), source.urls, source.sha256)


def _missing(package: PackageNeeds, source: Source) -> MirrorFinding:
    message = f"its {source.kind} is not there"
    return MirrorFinding(FindingKind.MISSING, source.path, message, str(package), source.urls, source.sha256)


def wanted_keys(needs: SourceNeeds) -> Iterable[str]:
    """The keys of everything that the record of what is needed names."""
    return dict.fromkeys(source.path for package in needs.packages.values() for source in package.sources)
