"""Reads the archive of a binary as a stream, and hands out its ELF files one after the other.

    <prefix without its first slash>/…             what was installed
    <prefix without its first slash>/.spack/binary_distribution
                                                    where it was installed, and what it depends on; YAML

Source: `tarfile_of_spec_prefix` and `get_buildinfo_dict` in lib/spack/spack/binary_distribution.py of Spack v0.21 to
v1.1.0.
"""

from __future__ import annotations

import hashlib
import io
import posixpath
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, Final

from foundation.errors import DamagedError, InvalidInputError
from foundation.yaml_io import load
from job_creator.studies.splices.facts.elf import MAGIC

_METADATA: Final = ".spack/binary_distribution"
_BLOCK: Final = 1 << 20
_LARGEST_METADATA: Final = 1 << 24
"""Bytes; what Spack writes has a line for each dependency."""
_IN_MEMORY: Final = 1 << 25
"""Larger files go through a temporary file, in bytes."""


@dataclass
class ArchiveContents:
    """What an archive holds, with names as they are in it: from the root of the file system, without its slash."""

    files: dict[str, str] = field(default_factory=dict)
    """The sha256 of each ELF file."""
    links: dict[str, str] = field(default_factory=dict)
    metadata: tuple[str, bytes] = ("", b"")
    """Of Spack: its name and content."""

    def below(self, prefix: str) -> tuple[dict[str, str], dict[str, str]]:
        """Files and links by their path in a prefix."""
        start = f"{prefix.strip('/')}/"
        files = {name.removeprefix(start): one for name, one in self.files.items() if name.startswith(start)}
        links = {name.removeprefix(start): one for name, one in self.links.items() if name.startswith(start)}
        return files, links


FileReader = Callable[[str, str, IO[bytes]], None]
"""Told of an ELF file: its name in the archive, its sha256 and its content."""


def read_archive(pieces: Iterable[bytes], tell: FileReader, place: str) -> ArchiveContents:
    """Read an archive to its end. Raises `DamagedError`."""
    found = ArchiveContents()
    stream = _Pieces(pieces)
    try:
        with tarfile.open(fileobj=stream, mode="r|gz") as archive:
            for member in archive:
                _read_member(archive, member, found, tell)
        for _ in iter(lambda: stream.read(_BLOCK), b""):
            pass  # to the end, so that the checksum of all of it is known
    except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise DamagedError(f"{place}: cannot be unpacked ({error})") from None
    return found


def _read_member(archive: tarfile.TarFile, member: tarfile.TarInfo, found: ArchiveContents, tell: FileReader) -> None:
    name = posixpath.normpath(member.name).lstrip("/")
    if member.issym():
        found.links[name] = member.linkname
    elif member.islnk():
        same = found.files.get(posixpath.normpath(member.linkname).lstrip("/"))
        if same:
            found.files[name] = same
    elif member.isfile() and (content := archive.extractfile(member)):
        start = content.read(len(MAGIC))
        # Of several, such as those of a package that holds an install tree, the one of the prefix comes last.
        if name.endswith(f"/{_METADATA}") and _is_higher(name, found.metadata[0]):
            found.metadata = name, start + content.read(_LARGEST_METADATA)
        elif start == MAGIC:
            with tempfile.SpooledTemporaryFile(_IN_MEMORY) as file:
                digest = hashlib.sha256()
                for block in _blocks(start, content):
                    digest.update(block)
                    file.write(block)
                file.seek(0)
                found.files[name] = digest.hexdigest()
                tell(name, digest.hexdigest(), file)


def _is_higher(name: str, other: str) -> bool:
    return not other or name.count("/") < other.count("/")


def _blocks(start: bytes, content: IO[bytes]) -> Iterator[bytes]:
    yield start
    while block := content.read(_BLOCK):
        yield block


def prefixes_of(contents: ArchiveContents, hash_: str, place: str) -> tuple[str, dict[str, str]]:
    """The prefix of a binary, and those of what it depends on by DAG hash. Raises `DamagedError`."""
    name, text = contents.metadata
    if not name:
        raise DamagedError(f"{place}: is no archive of a package, since it has no {_METADATA}")
    own = f"/{name.removesuffix(_METADATA).rstrip('/')}"
    try:
        value = load(text, place)
    except InvalidInputError as error:
        raise DamagedError(str(error)) from None
    # Before 0.20 it was the other way round.
    said = value.get("hash_to_prefix") if isinstance(value, Mapping) else None
    found = {str(one): str(prefix) for one, prefix in said.items()} if isinstance(said, Mapping) else {}
    return own, {**found, hash_: own}


class _Pieces(io.RawIOBase):
    """Pieces of bytes as a file that is read from its beginning to its end."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._rest = b""

    def readable(self) -> bool:
        """It is."""
        return True

    def read(self, size: int = -1, /) -> bytes:
        """So many bytes, or as many as there are left."""
        parts, length = [self._rest], len(self._rest)
        while size < 0 or length < size:
            piece = next(self._pieces, None)
            if piece is None:
                break
            parts.append(piece)
            length += len(piece)
        data = b"".join(parts)
        wanted = len(data) if size < 0 else size
        self._rest = data[wanted:]
        return data[:wanted]
