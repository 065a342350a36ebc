"""Whether binaries can be installed below a folder: strings in them can become shorter, but not longer.

Spack notes in each archive where it was built and which files name that place (`get_buildinfo_dict` in
lib/spack/spack/binary_distribution.py of Spack v0.21 to v1.1). A place that was padded (`padded_length`) has room.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from foundation.errors import DamagedError, InvalidInputError, NotThereError
from foundation.spack.layout_v3 import read_manifest
from foundation.stores.store import Store, read_all
from foundation.yaml_io import load
from job_creator.mirrors.needs.binaries import SPEC_MANIFESTS, V2_FOLDER, archive_keys, manifest_keys

_NOTE: Final = "/.spack/binary_distribution"
_ARCHIVE_TYPE: Final = "application/vnd.spack.install."


@dataclass(frozen=True, slots=True)
class Built:
    """Where a binary was built, and which of its files name that place in a way that cannot become longer.

    `name` is that of its folder in the install tree, which ends in the DAG hash.
    """

    name: str
    root: str
    files: tuple[str, ...]


def too_short(store: Store, root: str) -> tuple[Built, ...]:
    """The binaries in a mirror that were built in a folder with a shorter name than `root`, and have files that matter.

    Reads the beginning of each archive. Raises `DamagedError` and `NotThereError`.
    """
    found = (_built(store, key) for key in _archives(store))
    return tuple(built for built in found if _matters(built, root))


def _matters(built: Built, root: str) -> bool:
    return bool(built.files) and len(built.root) < len(root)


def _archives(store: Store) -> Iterator[str]:
    """The keys of all archives, in the order of their manifests."""
    keys = sorted(manifest_keys(one.key for one in store.list(SPEC_MANIFESTS)).values())
    for key, content in read_all(store, keys):
        manifest = read_manifest(content, key) if content else None
        blob = manifest.blob(_ARCHIVE_TYPE) if manifest else None
        if blob is None:
            raise DamagedError(f"{store.url}/{key}: leads to no archive; see 'jc mirror verify'")
        yield blob.key
    yield from sorted(archive_keys(one.key for one in store.list(V2_FOLDER)).values())


def _built(store: Store, key: str) -> Built:
    try:
        with tarfile.open(fileobj=_Stream(store.stream(key)), mode="r|gz") as archive:
            for member in archive:
                stream = archive.extractfile(member) if member.name.endswith(_NOTE) else None
                if stream:
                    note: Any = load(stream.read(), key)
                    name = str(note["relative_prefix"]).rpartition("/")[2]
                    return Built(name, str(note["buildpath"]), tuple(note.get("relocate_binaries") or ()))
    except (tarfile.TarError, EOFError, OSError, KeyError, TypeError, InvalidInputError) as error:
        raise DamagedError(f"{store.url}/{key}: not readable as an archive of Spack: {error}") from None
    raise NotThereError(f"{store.url}/{key}: does not say where it was built")


class _Stream(io.RawIOBase):
    """Pieces as a file that is read from its beginning."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._left = b""

    def read(self, size: int = -1, /) -> bytes:
        """So many bytes, fewer only at the end."""
        while size < 0 or len(self._left) < size:
            piece = next(self._pieces, b"")
            if not piece:
                size = len(self._left)
            self._left += piece
        found, self._left = self._left[:size], self._left[size:]
        return found
