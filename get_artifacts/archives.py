"""Archives of artifacts, unpacked with suspicion: what was uploaded may have been made by anybody.

Sources: PKWARE, "APPNOTE.TXT", 4.3 and 4.4 (directory records, bit flags); Info-ZIP for Unix modes in the external
attributes, which GitLab's runner writes.
"""

from __future__ import annotations

import os
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from foundation.errors import DamagedError, RefusedError, naming

_CHUNK: Final = 1 << 17
"""In bytes. Larger ones are new memory from the kernel each time, which costs more than what is done with them."""
_ENCRYPTED: Final = 1
_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_END: Final = struct.Struct("<4s4H2LH")
_END_64_LOCATOR: Final = struct.Struct("<4sLQL")
_END_64: Final = struct.Struct("<4sQ2H2L4Q")
_LONGEST_COMMENT: Final = 0xFFFF
_DIRECTORY_BYTES_PER_FILE: Final = 256
"""More than that on average would be a directory made to fill memory."""


@dataclass(frozen=True, slots=True)
class UnpackLimits:
    """What an archive may unpack to."""

    max_files: int = 20_000
    """Files and links in one archive."""
    max_bytes: int = 1 << 30
    """All of them together, unpacked."""


@dataclass(frozen=True, slots=True)
class Unpacked:
    """A file or link that was unpacked: its path in the folder, its bytes, those in the archive, and its CRC-32."""

    name: str
    bytes: int
    compressed: int
    crc: int


def read_directory(archive: Path, limits: UnpackLimits) -> tuple[str, ...]:
    """The names in an archive, which is thereby known to be complete. Raises what `unpack` raises."""
    with _opened(archive, limits) as opened:
        return tuple(opened.namelist())


def verify(archive: Path, limits: UnpackLimits) -> None:
    """Hold everything in an archive against its checksums. Raises `DamagedError`, and `RefusedError` as `unpack`."""
    with _opened(archive, limits) as opened:
        for entry in opened.infolist():
            with opened.open(entry) as content:
                while content.read(_CHUNK):
                    pass


def unpack(archive: Path, folder: Path, root: str, globs: Sequence[str], limits: UnpackLimits) -> tuple[Unpacked, ...]:
    """Put the files of an archive that fit one of the globs into a new folder, and return them by name.

    In the archive they may stand below `root`, the folder's own name, or not. `*` and `?` stop at a slash, `**` does
    not. Raises `RefusedError` for archives that reach out of the folder, name something twice or exceed the limits,
    `DamagedError` for broken ones, `FileAccessError`.
    """
    with _opened(archive, limits) as opened:
        place = archive.name
        entries = _by_target(opened.infolist(), root, place)
        chosen = {name: entry for name, entry in entries.items() if is_path_chosen(entry.filename, globs)}
        total = sum(entry.file_size for entry in chosen.values())
        if total > limits.max_bytes:
            raise RefusedError(
                f"{place}: unpacks to {total:,} bytes, {limits.max_bytes:,} are allowed; see --max-unpacked"
            )
        links = {name: _link_target(opened, name, entry, place) for name, entry in chosen.items() if _is_link(entry)}
        _require_inside(links, place)
        folder.mkdir()
        for name, entry in chosen.items():
            if name not in links:
                _write(opened, entry, folder / name)
        for name, target in links.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).symlink_to(target)
        return tuple(
            Unpacked(name, chosen[name].file_size, chosen[name].compress_size, chosen[name].CRC)
            for name in sorted(chosen)
        )


def is_path_chosen(path: str, globs: Iterable[str]) -> bool:
    """Whether a path in an archive fits one of the globs."""
    return any(re.fullmatch(_pattern(glob), path) for glob in globs)


def crc_of(path: Path) -> int:
    """The CRC-32 of a file, or of what a link points to, as archives have it. Raises `OSError`."""
    if path.is_symlink():
        return zlib.crc32(os.fsencode(path.readlink()))
    crc = 0
    with path.open("rb") as stream:
        while block := stream.read(_CHUNK):
            crc = zlib.crc32(block, crc)
    return crc


def _pattern(glob: str) -> str:
    parts = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    pieces = re.split(r"(\*\*/|\*\*|\*|\?)", glob)
    return "(?s:" + "".join(parts.get(piece) or re.escape(piece) for piece in pieces) + ")"


@contextmanager
def _opened(archive: Path, limits: UnpackLimits) -> Iterator[zipfile.ZipFile]:
    place = archive.name
    try:
        with naming(archive):
            _require_small_directory(archive, limits)
            with zipfile.ZipFile(archive) as opened:
                for entry in opened.infolist():
                    if entry.flag_bits & _ENCRYPTED or entry.compress_type not in _METHODS:
                        raise DamagedError(f"{place}: {entry.filename!r} is packed in a way that no runner is")
                yield opened
    except (zipfile.BadZipFile, zlib.error, EOFError, struct.error, NotImplementedError, ValueError) as error:
        raise DamagedError(f"{place}: no whole zip archive ({error})") from None


def _require_small_directory(archive: Path, limits: UnpackLimits) -> None:
    """zipfile reads the whole directory into memory, so its size is looked at before."""
    with archive.open("rb") as stream:
        size = stream.seek(0, 2)
        start = max(0, size - _END.size - _LONGEST_COMMENT)
        stream.seek(start)
        tail = stream.read()
        found = tail.rfind(b"PK\x05\x06")
        if found < 0:
            raise zipfile.BadZipFile("its directory is missing")
        _, _, _, _, files, directory, _, _ = _END.unpack_from(tail, found)
        locator = start + found - _END_64_LOCATOR.size
        if locator >= 0:
            stream.seek(locator)
            signature, _, place, _ = _END_64_LOCATOR.unpack(stream.read(_END_64_LOCATOR.size))
            if signature == b"PK\x06\x07" and place <= size - _END_64.size:
                stream.seek(place)
                files, directory = _END_64.unpack(stream.read(_END_64.size))[7:9]
    if files > limits.max_files or directory > limits.max_files * _DIRECTORY_BYTES_PER_FILE:
        raise RefusedError(
            f"{archive.name}: holds {files:,} files in a directory of {directory:,} bytes, "
            f"{limits.max_files:,} files are allowed; see --max-files"
        )


def _by_target(entries: Iterable[zipfile.ZipInfo], root: str, place: str) -> dict[str, zipfile.ZipInfo]:
    """The files and links of an archive by the path that they go to; all names are looked at, wanted or not."""
    found: dict[str, zipfile.ZipInfo] = {}
    folders: set[str] = set()
    for entry in entries:
        name = _checked_name(entry, root, place)
        if entry.is_dir():
            folders.add(name)
            continue
        if name in found:
            raise RefusedError(f"{place}: {entry.filename!r} is there twice")
        found[name] = entry
    folders.update(parent.as_posix() for name in found for parent in PurePosixPath(name).parents)
    for name in found:
        if name in folders:
            raise RefusedError(f"{place}: {name!r} is there twice, as a file and as a folder")
    return found


def _checked_name(entry: zipfile.ZipInfo, root: str, place: str) -> str:
    parts = entry.filename.removesuffix("/").split("/")
    if any(part in ("", ".", "..") for part in parts):
        raise RefusedError(f"{place}: {entry.filename!r} is no path within a folder")
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK):
        raise RefusedError(f"{place}: {entry.filename!r} is neither file nor folder nor link")
    return "/".join(parts[1:] if parts[0] == root and len(parts) > 1 else parts)


def _is_link(entry: zipfile.ZipInfo) -> bool:
    return stat.S_ISLNK(entry.external_attr >> 16)


def _link_target(archive: zipfile.ZipFile, name: str, entry: zipfile.ZipInfo, place: str) -> str:
    """What a link points to. It must not leave the folder, and have a length that a path can have."""
    if entry.file_size > 4096:
        raise RefusedError(f"{place}: the link {name!r} points to {entry.file_size:,} bytes")
    return archive.read(entry).decode(errors="surrogateescape")


def _require_inside(links: dict[str, str], place: str) -> None:
    """Raise `RefusedError` for links that leave the folder, be it by way of other links."""
    for name, target in links.items():
        here = list(PurePosixPath(name).parent.parts)
        steps = target.split("/")
        for index, step in enumerate(steps):
            outside = target.startswith("/") or not target or "\0" in target or (step == ".." and not here)
            if outside or (index and "/".join(here) in links and step not in ("", ".")):
                raise RefusedError(f"{place}: the link {name!r} to {target!r} may leave the folder")
            if step == "..":
                here.pop()
            elif step not in ("", "."):
                here.append(step)


def _write(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path) -> None:
    """One file. zipfile itself stops at the size that the directory says, and compares the checksum."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(entry) as source, naming(path), path.open("xb") as stream:
        while block := source.read(_CHUNK):
            stream.write(block)
    if (entry.external_attr >> 16) & 0o100:
        # Who may read it may execute it; nothing else of the recorded mode is restored.
        mode = path.stat().st_mode
        path.chmod(mode | (mode & 0o444) >> 2)
