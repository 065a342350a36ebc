"""Files read block by block."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from foundation.errors import naming

Progress = Callable[[int], None]
"""Is told of bytes as they are done with."""


_BLOCK: Final = 1 << 20


def sha256(path: Path, progress: Progress = lambda _: None) -> str:
    """The checksum of a file."""
    digest = hashlib.sha256()
    for block in read(path):
        digest.update(block)
        progress(len(block))
    return digest.hexdigest()


def sha256_of(blocks: Iterable[bytes]) -> str:
    """The checksum of what comes in blocks."""
    digest = hashlib.sha256()
    for block in blocks:
        digest.update(block)
    return digest.hexdigest()


def read(path: Path, start: int = 0, size: int | None = None) -> Iterator[bytes]:
    """So many bytes of a file, or all of them. Raises `EOFError` if there are fewer; links are not followed."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    with os.fdopen(descriptor, "rb", buffering=0) as stream:
        stream.seek(start)
        while size is None or size > 0:
            block = stream.read(_BLOCK if size is None else min(size, _BLOCK))
            if not block and size is None:
                return
            if not block:
                raise EOFError(str(path))
            size = None if size is None else size - len(block)
            yield block


def overwrite(path: Path, changes: Mapping[int, bytes]) -> None:
    """Write bytes at places of a file, in place. Raises `FileAccessError`."""
    with naming(path), path.open("r+b") as stream:
        for place, content in changes.items():
            stream.seek(place)
            stream.write(content)


@contextmanager
def reading(path: Path) -> Iterator[Callable[[int, int], bytes]]:
    """Reads so many bytes from a place of a file on, as often as wanted; raises `EOFError` if there are fewer."""
    with path.open("rb", buffering=0) as stream:

        def read_at(start: int, size: int) -> bytes:
            data = os.pread(stream.fileno(), size, start)
            if len(data) != size:
                raise EOFError(str(path))
            return data

        yield read_at
