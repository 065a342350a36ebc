"""How much was collected, and under which licenses. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from foundation.shown import shown_size
from foundation.spack.licenses import is_allowed
from job_creator.corpus.entries import CollectedKind, CorpusEntry

_KINDS: Final = ("bitcode", "sources", "licenses")
HEADINGS: Final = ("package", *_KINDS, "archive")
LICENSE_HEADINGS: Final = ("packages", "bitcode", "sources", "license")
NOT_STATED: Final = "(not stated)"


def by_size(entries: Iterable[CorpusEntry]) -> list[CorpusEntry]:
    """The largest archive first."""
    return sorted(entries, key=lambda one: (-one.bytes, one.package, one.version, one.hash))


def size_rows(entries: Sequence[CorpusEntry]) -> list[list[str]]:
    """A row for each package, and one for the sum."""
    rows = [
        [one.named, *(_shown(one.collected.get(kind)) for kind in _KINDS), shown_size(one.bytes)]
        for one in by_size(entries)
    ]
    sums = [_shown(_sum(entries, kind)) for kind in _KINDS]
    return [*rows, [f"{len(entries)} in all", *sums, shown_size(sum(one.bytes for one in entries))]]


def size_value(entries: Sequence[CorpusEntry]) -> dict[str, Any]:
    """The same for programs."""
    return {
        "packages": [one.value() for one in by_size(entries)],
        "bytes": {
            "archives": sum(one.bytes for one in entries),
            **{kind: _sum(entries, kind).bytes for kind in _KINDS},
        },
        "files": {kind: _sum(entries, kind).files for kind in _KINDS},
    }


def not_allowed(entries: Iterable[CorpusEntry], allowed: Collection[str]) -> tuple[CorpusEntry, ...]:
    """The packages that nobody may use under these licenses alone; those that state none are among them."""
    return tuple(one for one in entries if not one.license or not is_allowed(one.license, allowed))


def license_rows(entries: Sequence[CorpusEntry]) -> list[list[str]]:
    """A row for each license, the one with most packages first."""
    return [
        [
            ", ".join(sorted(one.named for one in some)),
            _shown(_sum(some, "bitcode")),
            _shown(_sum(some, "sources")),
            text,
        ]
        for text, some in _licenses(entries).items()
    ]


def license_value(entries: Sequence[CorpusEntry], refused: Sequence[CorpusEntry]) -> dict[str, Any]:
    """The same for programs; `refused` are the packages that are not allowed."""
    return {
        "licenses": [
            {"license": "" if text == NOT_STATED else text, "packages": [one.hash for one in some]}
            for text, some in _licenses(entries).items()
        ],
        "not_allowed": [one.hash for one in refused],
    }


def _licenses(entries: Iterable[CorpusEntry]) -> Mapping[str, list[CorpusEntry]]:
    found: dict[str, list[CorpusEntry]] = {}
    for one in entries:
        found.setdefault(one.license or NOT_STATED, []).append(one)
    return dict(sorted(found.items(), key=lambda item: (-len(item[1]), item[0])))


def _sum(entries: Iterable[CorpusEntry], kind: str) -> CollectedKind:
    every = [one.collected[kind] for one in entries if kind in one.collected]
    return CollectedKind(sum(one.files for one in every), sum(one.bytes for one in every))


def _shown(one: CollectedKind | None) -> str:
    if one is None:
        return "-"
    if not one.files:
        return f"none: {one.because}" if one.because else "none"
    return f"{one.files} files, {shown_size(one.bytes)}"
