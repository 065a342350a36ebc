"""Files out of a SquashFS file system, one at a time: nothing is mounted, and folders are read as they are asked for.

Only what a container's files need is known: folders, files and links, packed with gzip, xz, or not at all.

Source of the format: Linux, `fs/squashfs/squashfs_fs.h` (version 4.0); all numbers are little endian.
"""

from __future__ import annotations

import lzma
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from foundation.errors import DamagedError
from foundation.sif.headers import Read

_SUPER: Final = struct.Struct("<5I6H8Q")
_MAGIC: Final = 0x73717368
_GZIP, _XZ = 1, 4
_METADATA: Final = 8192
_UNPACKED: Final = 0x8000
_UNPACKED_BLOCK: Final = 1 << 24
_LARGEST_BLOCK: Final = 1 << 20
_NO_FRAGMENT: Final = 0xFFFFFFFF
_FRAGMENTS_PER_BLOCK: Final = 512
_INODE: Final = struct.Struct("<4H2I")
_FOLDER, _FILE, _LINK = 1, 2, 3
_LONG: Final = 7
"""Added to the kind of an inode with larger fields."""
_MOST_BLOCKS: Final = 1 << 16
_MOST_BYTES: Final = 1 << 26
"""Of the listing of one folder."""


@dataclass(frozen=True, slots=True)
class Inode:
    """A file, a folder, a link, or something else that nobody reads here."""

    kind: int
    mode: int
    size: int = 0
    """Of a file, in bytes."""
    start: int = 0
    offset: int = 0
    fragment: int = _NO_FRAGMENT
    blocks: tuple[int, ...] = ()
    target: str = ""
    """Of a link."""

    @property
    def is_folder(self) -> bool:
        """Whether it has entries."""
        return self.kind == _FOLDER

    @property
    def is_file(self) -> bool:
        """Whether it has content."""
        return self.kind == _FILE

    @property
    def is_link(self) -> bool:
        """Whether it leads elsewhere."""
        return self.kind == _LINK


class Squashfs:
    """A file system, of which `read` gives bytes. Everything raises `DamagedError` where it is not laid out so."""

    def __init__(self, read: Read) -> None:
        self._read = read
        fields = _SUPER.unpack(self._bytes(0, _SUPER.size))
        magic, _, _, self._block_size, _, self._packer, _, _, _, major, _, root = fields[:12]
        if magic != _MAGIC or major != 4 or not 0 < self._block_size <= _LARGEST_BLOCK:
            raise DamagedError("no SquashFS 4 file system")
        if self._packer not in (_GZIP, _XZ):
            raise DamagedError(f"its compression (number {self._packer}) is not known here")
        self._inodes, self._folders, self._fragments = fields[15], fields[16], fields[17]
        self._metadata = lru_cache(maxsize=256)(self._metadata_block)
        self._packed_fragment = lru_cache(maxsize=8)(self._fragment_block)
        self.root = self.inode(root)

    def inode(self, reference: int) -> Inode:
        """What a reference of a folder's entry leads to."""
        stream = _MetadataStream(self, self._inodes + (reference >> 16), reference & 0xFFFF)
        kind, mode, *_ = stream.take(_INODE)
        is_long, kind = kind > _LONG, kind - _LONG if kind > _LONG else kind
        if kind == _FOLDER:
            if is_long:
                _, size, start, _, _, offset, _ = stream.take(struct.Struct("<4I2HI"))
            else:
                start, _, size, offset, _ = stream.take(struct.Struct("<2I2HI"))
            return Inode(_FOLDER, mode, size, start, offset)
        if kind == _FILE:
            return self._file(stream, mode, is_long=is_long)
        if kind == _LINK:
            _, length = stream.take(struct.Struct("<2I"))
            return Inode(_LINK, mode, target=stream.bytes(min(length, _METADATA)).decode(errors="surrogateescape"))
        return Inode(0, mode)

    def _file(self, stream: _MetadataStream, mode: int, *, is_long: bool) -> Inode:
        if is_long:
            start, size, _, _, fragment, offset, _ = stream.take(struct.Struct("<3Q4I"))
        else:
            start, fragment, offset, size = stream.take(struct.Struct("<4I"))
        count = size // self._block_size if fragment != _NO_FRAGMENT else -(-size // self._block_size)
        if count > _MOST_BLOCKS:
            raise DamagedError("a file is larger than anybody reads here")
        blocks = struct.unpack(f"<{count}I", stream.bytes(4 * count))
        return Inode(_FILE, mode, size, start, offset, fragment, blocks)

    def entries(self, folder: Inode) -> dict[str, int]:
        """The names in a folder, with references to what they are. Raises `DamagedError`."""
        left = folder.size - 3
        if left > _MOST_BYTES:
            raise DamagedError("a folder is larger than anybody reads here")
        stream, found = _MetadataStream(self, self._folders + folder.start, folder.offset), {}
        while left > 0:
            count, block, _ = stream.take(struct.Struct("<3I"))
            left -= 12
            for _ in range(min(count, 255) + 1):
                offset, _, _, length = stream.take(struct.Struct("<HhHH"))
                found[stream.bytes(length + 1).decode(errors="surrogateescape")] = block << 16 | offset
                left -= 8 + length + 1
        return found

    def content(self, file: Inode) -> Iterator[bytes]:
        """The content of a file, block by block."""
        place, left = file.start, file.size
        for size in file.blocks:
            expected = min(left, self._block_size)
            packed = size & ~_UNPACKED_BLOCK
            yield self._block(place, size, expected) if packed else bytes(expected)
            place += packed
            left -= expected
        if left:
            yield self._packed_fragment(file.fragment)[file.offset : file.offset + left]

    def _fragment_block(self, index: int) -> bytes:
        block, number = divmod(index, _FRAGMENTS_PER_BLOCK)
        (table,) = struct.unpack("<Q", self._bytes(self._fragments + 8 * block, 8))
        start, size, _ = struct.unpack_from("<Q2I", self._metadata(table)[0], 16 * number)
        return self._block(start, size, self._block_size)

    def _block(self, place: int, size: int, expected: int) -> bytes:
        packed = size & ~_UNPACKED_BLOCK
        if packed > _LARGEST_BLOCK:
            raise DamagedError("a block is larger than a block can be")
        data = self._bytes(place, packed)
        return data if size & _UNPACKED_BLOCK else self._unpacked(data, expected)

    def _metadata_block(self, place: int) -> tuple[bytes, int]:
        """A block of metadata, and where the next one is."""
        (size,) = struct.unpack("<H", self._bytes(place, 2))
        data = self._bytes(place + 2, size & ~_UNPACKED)
        following = place + 2 + len(data)
        return (data if size & _UNPACKED else self._unpacked(data, _METADATA)), following

    def metadata(self, place: int) -> tuple[bytes, int]:
        """The same, kept for a while."""
        return self._metadata(place)

    def _unpacked(self, data: bytes, most: int) -> bytes:
        try:
            if self._packer == _GZIP:
                return zlib.decompressobj().decompress(data, most)
            return lzma.LZMADecompressor().decompress(data, most)
        except (zlib.error, lzma.LZMAError) as error:
            raise DamagedError(f"a block cannot be unpacked ({error})") from None

    def _bytes(self, place: int, size: int) -> bytes:
        try:
            return self._read(place, size)
        except (EOFError, OverflowError, OSError):
            raise DamagedError("it ends too early") from None


class _MetadataStream:
    """Metadata from a place on, over the ends of blocks."""

    def __init__(self, image: Squashfs, place: int, offset: int) -> None:
        self._image, self._place, self._offset = image, place, offset

    def take(self, layout: struct.Struct) -> tuple[int, ...]:
        return layout.unpack(self.bytes(layout.size))

    def bytes(self, size: int) -> bytes:
        found = b""
        while len(found) < size:
            block, following = self._image.metadata(self._place)
            part = block[self._offset : self._offset + size - len(found)]
            if not part and self._offset <= len(block) and not block:
                raise DamagedError("a block of metadata is empty")
            found += part
            self._offset += len(part)
            if self._offset >= len(block):
                self._place, self._offset = following, self._offset - len(block)
        return found
