"""A bundle and the mirror that it goes into, as far as they have to be joined: what came before, and merged files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from foundation.doors.blocks import read
from foundation.errors import DamagedError
from foundation.spack import layout_v2, layout_v3
from foundation.stores.documents import json_of
from job_creator.mirrors.bundles import merging
from job_creator.mirrors.bundles.bundle import LIST, Bundle, File
from job_creator.mirrors.contents import IMPORTS_KEY


@dataclass(frozen=True)
class Merge:
    """A file of the mirror that takes what that of the bundle has: what it was then, and what has to be written."""

    key: str
    state: tuple[int, ...]
    writes: Mapping[str, bytes]


def bundle_id(source: Path) -> str:
    """What a bundle is known by: the sha256 of its list."""
    return hashlib.sha256((source / LIST).read_bytes()).hexdigest()


def imported(root: Path) -> tuple[str, ...]:
    """What came into a mirror before, by `bundle_id`; nothing if that cannot be read."""
    try:
        value = json_of((root / IMPORTS_KEY).read_bytes())
        return tuple(str(one) for one in value["bundles"])
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
        return ()


def state_of(path: Path) -> tuple[int, ...]:
    """What differs when a file does."""
    status = path.stat()
    return (status.st_mtime_ns, status.st_size, status.st_ino)


def make_merge(source: Path, bundle: Bundle, root: Path, key: str, specs: frozenset[str]) -> Merge:
    """How a file of a mirror takes what that of a bundle has. Raises `DamagedError` if a part has changed."""
    held = {file.key: file for file in bundle.files}

    def here(key: str) -> bytes | None:
        path = root / key
        return path.read_bytes() if path.is_file() else None

    def there(key: str) -> bytes | None:
        file = held.get(key)
        if file is None:
            return None
        return b"".join(content_of(source, bundle, file)) if file.pieces else here(key)

    state = state_of(root / key)
    return Merge(key, state, merging.merge(key, merging.Sides(here, there, specs)))


def specs_of_both(root: Path, bundle: Bundle) -> frozenset[str]:
    """The DAG hashes of the binaries of both."""
    manifests = (root / layout_v3.MANIFESTS / "spec").glob("*/*.spec.manifest.json")
    spec_files = (root / layout_v2.FOLDER).glob("*.spec.json*")
    keys = (*(path.relative_to(root).as_posix() for path in (*manifests, *spec_files)), *bundle.files_and_links)
    return frozenset(filter(None, (layout_v3.hash_of(key) or layout_v2.hash_of(key) for key in keys)))


def content_of(source: Path, bundle: Bundle, file: File) -> Iterator[bytes]:
    """The content of a file out of the parts of a bundle. Raises `DamagedError` if a part has changed."""
    for piece in file.pieces:
        path = source / bundle.parts[piece.part - 1].name
        try:
            yield from read(path, piece.offset, piece.size)
        except EOFError:
            raise DamagedError(f"{path}: changed since it was verified; import the bundle again") from None
