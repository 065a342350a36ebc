"""What Spack answered about a concrete spec, as the needs of a package. Pure.

`job_creator/mirrors/needs/inside_spack.py` only tells what Spack knows; what follows from it is decided here.

Sources: `Stage._generate_fetchers` in lib/spack/spack/stage.py, the fetchers in lib/spack/spack/fetch_strategy.py and
`IncludeFilter` in lib/spack/spack/cmd/mirror.py of Spack v0.21 to v1.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from foundation.spack.lockfile import LockedSpec
from foundation.spack.source_needs import PackageNeeds, Source, SourceKind
from foundation.stores.documents import texts_of
from job_creator.mirrors.contents import why_no_source

_SHA256_DIGITS: Final = 64
_DOWNLOADING_BUILD_SYSTEMS: Final = {"cargo": "cargo", "go": "go"}
"""Build systems of Spack whose tool downloads what a package depends on while it is built, with the tool's name."""
_DOWNLOADING_TOOLS: Final = {
    "bazel": "bazel",
    "cabal-install": "cabal",
    "cargo": "cargo",
    "ghcup": "cabal",
    "go": "go",
    "gradle": "gradle",
    "maven": "maven",
    "node-js": "npm",
    "npm": "npm",
    "rust": "cargo",
    "sbt": "sbt",
    "yarn": "yarn",
}
"""Build dependencies by which such a tool comes in, with its name."""


def package_needs(answer: Mapping[str, Any], locked: LockedSpec) -> PackageNeeds:
    """The needs that an answer tells of. Raises `KeyError`, `TypeError` or `ValueError` for what is no answer."""
    if answer["problem"]:
        unknown = Source(SourceKind.ARCHIVE, (), "", "", obstacle="nobody knows what it is")
        return _package(answer, locked, (unknown,))
    sources = tuple(_source(one, answer["manual"]) for one in answer["sources"])
    return _package(answer, locked, sources, _warnings(answer, sources))


def _package(
    answer: Mapping[str, Any], locked: LockedSpec, sources: tuple[Source, ...], warnings: tuple[str, ...] = ()
) -> PackageNeeds:
    return PackageNeeds(
        hash=locked.hash,
        package_hash=locked.package_hash,
        name=locked.name,
        version=locked.version,
        namespace=locked.namespace,
        sources=sources,
        licences=tuple(answer.get("licences", ())),
        may_redistribute_source=answer.get("may_redistribute_source", True),
        may_redistribute_binary=answer.get("may_redistribute_binary", True),
        warnings=warnings,
        problem=answer["problem"],
    )


def _source(one: Mapping[str, Any], manual: str) -> Source:
    paths, digest = texts_of(one["paths"]), str(one["digest"])
    sha256 = digest if len(digest) == _SHA256_DIGITS else ""
    urls, kind = tuple(dict.fromkeys(texts_of(one["urls"]))), SourceKind(one["kind"])
    obstacle = _obstacle(one, manual)
    for number, path in enumerate(paths):
        if fault := why_no_source(path, "" if number else sha256):
            obstacle = obstacle or f"the recipe has {path!r} for its place, which {fault}"
            return Source(kind, urls, sha256, "", (), obstacle)
    return Source(kind, urls, sha256, paths[0] if paths else "", paths[1:], obstacle)


def _obstacle(one: Mapping[str, Any], manual: str) -> str:
    """Why nobody but a person can put this into a mirror; empty if Spack can."""
    if one["fetcher"] == "develop":
        return "is built from a folder of its developer, not from anything that can be fetched"
    if one["fetcher"] == "go":
        return "is fetched by 'go get', which Spack does not put into mirrors"
    if one["fetcher"] == "url" and not one["digest"]:
        return "the recipe has no checksum for it, and Spack fetches nothing without"
    if not one["fixed"]:
        return f"is whatever a branch or tag of {_shown_place(one)} holds today; lock a commit instead"
    if manual and one["kind"] == SourceKind.ARCHIVE:
        return f"must be downloaded by hand: {' '.join(manual.split())}"
    return ""


def _warnings(answer: Mapping[str, Any], sources: tuple[Source, ...]) -> tuple[str, ...]:
    found = []
    if not answer["is_current"]:
        found.append("its recipe is not the one that was locked, so what is listed may be wrong")
    tools = {_DOWNLOADING_BUILD_SYSTEMS.get(answer["build_system"], "")}
    tools |= {_DOWNLOADING_TOOLS.get(name, "") for name in answer["build_tools"]}
    if tools - {""}:
        found.append(f"may download more while it is built, by {' and '.join(sorted(tools - {''}))}")
    if any(source.path and not source.sha256 and not source.obstacle for source in sources):
        found.append("has a source without sha256 (a checkout, or an older checksum), which nobody can verify later")
    return tuple(found)


def _shown_place(one: Mapping[str, Any]) -> str:
    return str(one["urls"][0]) if one["urls"] else f"its {one['fetcher']} repository"
