"""The files of an image, out of its layers. Links stay links, and nothing is unpacked where others would find it.

Source: OCI image specification, "Image Layer Filesystem Changeset" (whiteouts).
"""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Final, TypeAlias

from foundation.errors import DamagedError
from job_creator.audit.elf_headers import MAGIC
from job_creator.environments.views import LOCK_PATH

_GONE: Final = ".wh."
_ALL_GONE: Final = ".wh..wh..opq"
_LINKS: Final = 40
"""As many links are followed as Linux follows."""
_LARGEST: Final = 256 << 20
_BLOCK: Final = 1 << 20
_KEPT: Final = (MAGIC, b"#!")
"""How files begin whose content counts."""


@dataclass(frozen=True, slots=True)
class LayerFile:
    """A file: its size in bytes, its beginning, and where its content is kept, if it is."""

    size: int
    head: bytes
    place: int | None


_Folder: TypeAlias = dict[str, "LayerFile | str | _Folder | None"]
"""What is in a folder: files, links with where they lead, other folders; `None` is something else."""
_Entry: TypeAlias = "LayerFile | str | _Folder | None"


class ImageFiles:
    """The files of an image whose layers are added one by one, the lowest first; contents are kept in a file.

    Only what an audit reads is kept: programs, libraries, scripts, the lockfile, the configuration of the loader.
    """

    def __init__(self, kept: IO[bytes]) -> None:
        self._kept = kept
        self._root: _Folder = {}

    def add(self, layer: IO[bytes]) -> None:
        """Put the next layer over those that are there, packed or not. Raises `DamagedError`."""
        members: list[tuple[list[str], _Entry]] = []
        gone: list[list[str]] = []
        own: _Folder = {}
        try:
            with tarfile.open(fileobj=layer, mode="r|*") as archive:
                for member in archive:
                    parts = _parts(member.name)
                    if parts and parts[-1].startswith(_GONE):
                        gone.append(parts)
                    elif parts:
                        entry = self._entry(archive, member, own)
                        _put(own, parts, entry)
                        members.append((parts, entry))
        except (tarfile.TarError, EOFError, OSError, ValueError) as error:
            raise DamagedError(f"is no layer: {error}") from None
        for parts in gone:
            self._remove(parts)
        for parts, entry in members:
            _put(self._root, parts, {} if isinstance(entry, dict) else entry)

    def _entry(self, archive: tarfile.TarFile, member: tarfile.TarInfo, own: _Folder) -> _Entry:
        if member.isdir():
            return {}
        if member.issym():
            return member.linkname
        if member.islnk():
            return _at(own, _parts(member.linkname)) or _at(self._root, _parts(member.linkname))
        content = archive.extractfile(member) if member.isfile() else None
        if content is None:
            return None
        first = content.read(_BLOCK)
        path = "/" + "/".join(_parts(member.name))
        if not (first.startswith(_KEPT) or path == LOCK_PATH or path.startswith("/etc/ld.so.conf")):
            return LayerFile(member.size, first[:256], None)
        place = self._kept.seek(0, 2)
        while first:
            self._kept.write(first)
            first = content.read(_BLOCK)
        return LayerFile(member.size, self._head(place), place)

    def _head(self, place: int) -> bytes:
        self._kept.seek(place)
        return self._kept.read(256)

    def _remove(self, parts: list[str]) -> None:
        folder = _at(self._root, parts[:-1])
        if not isinstance(folder, dict):
            return
        if parts[-1] == _ALL_GONE:
            folder.clear()
        else:
            folder.pop(parts[-1].removeprefix(_GONE), None)

    def read(self, path: str, most: int = _LARGEST) -> bytes | None:
        """The content of a file of at most so many bytes; `None` where none is kept. Raises `DamagedError`."""
        found = self._find(path)
        if not isinstance(found, LayerFile) or found.place is None:
            return None
        if found.size > most:
            raise DamagedError(f"{path} has {found.size} bytes, which nobody reads at once")
        self._kept.seek(found.place)
        return self._kept.read(found.size)

    def size(self, path: str) -> int | None:
        """How many bytes a file has; `None` where there is none."""
        found = self._find(path)
        return found.size if isinstance(found, LayerFile) else None

    def head(self, path: str, size: int) -> bytes:
        """The first bytes of a file, at most 256; none where there is none."""
        found = self._find(path)
        return found.head[:size] if isinstance(found, LayerFile) else b""

    def exists(self, path: str) -> bool:
        """Whether there is something at a path, over links."""
        return self._find(path) is not _NOTHING

    def files(self, path: str, wanted: Callable[[str], bool] = lambda _: True) -> Iterator[str]:
        """The files below a folder, those of folders that are not `wanted` left out; links are not followed."""
        found = self._find(path)
        waiting = [(path.rstrip("/"), found)] if isinstance(found, dict) else []
        while waiting:
            place, folder = waiting.pop()
            for name, entry in sorted(folder.items()):
                below = f"{place}/{name}"
                if isinstance(entry, dict):
                    if wanted(below):
                        waiting.append((below, entry))
                elif isinstance(entry, LayerFile):
                    yield below

    def _find(self, path: str) -> _Entry | object:
        trail: list[_Folder] = [self._root]
        parts, followed = _parts(path), 0
        while parts:
            part = parts.pop(0)
            if part == "..":
                trail = trail[:-1] or trail
                continue
            if part not in trail[-1]:
                return _NOTHING
            entry = trail[-1][part]
            if isinstance(entry, str):
                followed += 1
                if followed > _LINKS:
                    return _NOTHING
                trail = trail[:1] if entry.startswith("/") else trail
                parts = _parts(entry) + parts
            elif isinstance(entry, dict):
                trail.append(entry)
            else:
                return _NOTHING if parts else entry
        return trail[-1]


_NOTHING: Final = object()


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]


def _at(folder: _Folder, parts: list[str]) -> _Entry:
    """What is at a path, no link followed."""
    found: _Entry = folder
    for part in parts:
        found = found.get(part) if isinstance(found, dict) else None
    return found


def _put(root: _Folder, parts: list[str], entry: _Entry) -> None:
    folder = root
    for part in parts[:-1]:
        below = folder.get(part)
        if not isinstance(below, dict):
            below = folder[part] = {}
        folder = below
    if not (isinstance(entry, dict) and isinstance(folder.get(parts[-1]), dict)):
        folder[parts[-1]] = entry
