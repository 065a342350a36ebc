"""Bundles: a mirror, or what was added to it, as files that can be carried to a site without internet. Pure.

A bundle is a folder with

    part-0001.tar …   the content, as tar files that any tar can unpack
    bundle.json       the list: every file of the mirror with its checksum, and which part holds it
    bundle.json.asc   its signature (gpg, detached), if it was signed
    bundle.key.asc    the public key of who signed it

The list says at which offsets of the parts the content lies; the headers between are there for people, and never read.
The same mirror always gives the same parts, byte for byte.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from foundation.errors import DamagedError
from job_creator.mirrors.contents import is_carried, order, sha256_in_name, why_no_key, why_no_link

LIST: Final = "bundle.json"
SIGNATURE: Final = "bundle.json.asc"
KEY: Final = "bundle.key.asc"
_VERSION: Final = 1
_PART_NAME: Final = re.compile(r"part-[0-9]{4,}\.tar")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes of a part: its number, counted from 1, and where in it they lie."""

    part: int
    offset: int
    size: int
    """In bytes, as is `offset`, counted from the start of the part."""


@dataclass(frozen=True, slots=True)
class File:
    """A file of the mirror. Without pieces it is not in this bundle, but in one that came before."""

    key: str
    """Its path in the mirror."""
    size: int
    """In bytes."""
    sha256: str
    pieces: tuple[Piece, ...] = ()
    """Where its content lies in the parts of the bundle, in order."""


@dataclass(frozen=True, slots=True)
class Part:
    """A file of the bundle."""

    name: str
    size: int
    """In bytes."""
    sha256: str


@dataclass(frozen=True)
class Bundle:
    """What the list says. Files stand in the order in which they may become visible.

    `since` is the sha256 of the list of the earlier bundle that this one adds to, empty if it is whole. `folders` are
    those without files, which git repositories need. Links hold the path that they lead to, from where they lie.
    """

    files: tuple[File, ...]
    parts: tuple[Part, ...] = ()
    links: Mapping[str, str] = field(default_factory=dict)
    folders: tuple[str, ...] = ()
    since: str = ""

    @property
    def held(self) -> tuple[File, ...]:
        """The files whose content is in this bundle."""
        return tuple(file for file in self.files if file.pieces)

    @property
    def earlier(self) -> tuple[File, ...]:
        """The files that must have come before."""
        return tuple(file for file in self.files if not file.pieces)

    @property
    def files_and_links(self) -> tuple[str, ...]:
        """The keys of all files and links."""
        return (*(file.key for file in self.files), *self.links)

    def placed(self) -> dict[int, list[tuple[File, Piece]]]:
        """What lies in each part, in the order in which it lies there."""
        result: dict[int, list[tuple[File, Piece]]] = {}
        for file in self.files:
            for piece in file.pieces:
                result.setdefault(piece.part, []).append((file, piece))
        return result

    def as_json(self) -> bytes:
        """The list; one line for each file, and always the same bytes for the same bundle."""
        files = (
            {
                "key": file.key,
                "size": file.size,
                "sha256": file.sha256,
                "pieces": [[piece.part, piece.offset, piece.size] for piece in file.pieces],
            }
            for file in self.files
        )
        parts = ({"name": part.name, "size": part.size, "sha256": part.sha256} for part in self.parts)
        links = ([key, self.links[key]] for key in sorted(self.links))
        sections = {"parts": parts, "files": files, "links": links, "folders": sorted(self.folders)}
        lines = [f'{{"version": {_VERSION},\n"since": "{self.since}"']
        lines += [f'"{name}": [\n{_lines(values)}\n]' for name, values in sections.items()]
        return (",\n".join(lines) + "\n}\n").encode()


def part_name(number: int) -> str:
    """The file name of a part, which is counted from 1: `part-0001.tar`."""
    return f"part-{number:04}.tar"


def read_bundle(content: bytes, place: str) -> Bundle:
    """The list that `as_json` wrote, if nothing in it could do harm; `place` names it. Raises `DamagedError`."""
    try:
        value = json.loads(content)
        if value["version"] != _VERSION:
            raise DamagedError(f"{place}: version {value['version']!r} of bundles is not known; use a newer 'jc'")
        found = Bundle(
            files=tuple(map(_file, value["files"])),
            parts=tuple(
                Part(str(one["name"]), _count(one["size"]), _checksum(one["sha256"])) for one in value["parts"]
            ),
            links={str(key): str(target) for key, target in value["links"]},
            folders=tuple(map(str, value["folders"])),
            since=_checksum(value["since"]) if value["since"] else "",
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DamagedError(f"{place}: not laid out as expected ({error}); copy the bundle again") from None
    for fault in _faults(found):
        raise DamagedError(f"{place}: {fault}")
    return found


def _lines(values: Iterable[object]) -> str:
    return ",\n".join(json.dumps(value) for value in values)


def _file(record: Mapping[str, Any]) -> File:
    pieces = tuple(Piece(*map(_count, piece)) for piece in record["pieces"])
    return File(str(record["key"]), _count(record["size"]), _checksum(record["sha256"]), pieces)


def _count(value: object) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r} is no number of bytes")
    return value


def _checksum(value: object) -> str:
    if not isinstance(value, str) or not _SHA256.fullmatch(value):
        raise ValueError(f"{value!r} is no sha256 checksum")
    return value


def _faults(found: Bundle) -> Iterator[str]:
    """What is wrong with a list although it can be read."""
    for number, part in enumerate(found.parts, start=1):
        if not _PART_NAME.fullmatch(part.name) or part.name != part_name(number):
            yield f"{part.name!r} is no name of part {number}"
    keys = [file.key for file in found.files]
    for key in (*keys, *found.links, *found.folders):
        if reason := why_no_key(key):
            yield f"{key!r} {reason}"
        if not is_carried(key):
            yield f"{key!r} is not for bundles"
    for key, target in found.links.items():
        if reason := why_no_link(key, target):
            yield f"{key!r} {reason}"
    if keys != sorted(set(keys), key=order):
        yield "the files are not in order"
    yield from _collisions({*keys, *found.links}, len(keys) + len(found.links), found.folders)
    yield from _misplaced(found)


def _collisions(leaves: set[str], listed: int, folders: Iterable[str]) -> Iterator[str]:
    """Nothing may lie below a file or a link."""
    if len(leaves) != listed:
        yield "something is both a file and a link"
    for key in (*leaves, *folders):
        parent = posixpath.dirname(key)
        while parent:
            if parent in leaves:
                yield f"{key!r} lies below {parent!r}, which is no folder"
            parent = posixpath.dirname(parent)
    if taken := leaves.intersection(folders):
        yield f"{min(taken)!r} is both a folder and none"


def _misplaced(found: Bundle) -> Iterator[str]:
    """Content lies in the order of the list, within its parts, and nowhere twice."""
    last = (1, 0)
    for file in found.files:
        named = sha256_in_name(file.key)
        if named and named != file.sha256:
            yield f"{file.key!r} has the checksum {file.sha256}, and its name says another"
        if not file.pieces:
            if not found.since:
                yield f"{file.key!r} is in no part"
            continue
        if sum(piece.size for piece in file.pieces) != file.size:
            yield f"the pieces of {file.key!r} do not make {file.size} bytes"
        for piece in file.pieces:
            end = piece.offset + piece.size
            if not 1 <= piece.part <= len(found.parts) or end > found.parts[piece.part - 1].size:
                yield f"{file.key!r} lies outside of the parts"
            if (piece.part, piece.offset) < last:
                yield f"{file.key!r} lies where something else does"
            last = (piece.part, end)
