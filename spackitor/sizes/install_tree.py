"""An install tree of Spack on this machine: what its database lists, and what lies in each prefix.

Source: lib/spack/spack/database.py of Spack v1.1.0 (`.spack-db/index.json`: records by DAG hash, with `path`).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from foundation.errors import DamagedError, naming
from foundation.spack.specs import Node, Spec, spec_of
from foundation.stores.documents import json_of
from spackitor.sizes.groups import SizedSpec

DATABASE: Final = Path(".spack-db") / "index.json"
_WORKERS: Final = 16

logger = logging.getLogger(__name__)


def is_install_tree(folder: Path) -> bool:
    """Whether Spack installs into a folder."""
    return (folder / DATABASE).is_file()


def read_install_tree(folder: Path) -> tuple[tuple[SizedSpec, ...], Mapping[str, Node]]:
    """The specs that are installed in a tree, with their files, and the nodes of these specs.

    Files with several names count once; no link is followed. What the database lists and is not there takes nothing,
    and is told of. Raises `DamagedError` and `FileAccessError`.
    """
    place = folder / DATABASE
    with naming(place):
        data = place.read_bytes()
    specs: dict[str, tuple[Spec, Path]] = {}
    nodes: dict[str, Node] = {}
    try:
        for hash_, record in json_of(data)["database"]["installs"].items():
            if record.get("installed") and record.get("path") and not record["spec"].get("external"):
                specs[hash_] = spec_of(record["spec"], hash_), Path(record["path"])
                nodes[hash_] = record["spec"]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise DamagedError(f"{place}: not a database of Spack") from None
    with ThreadPoolExecutor(_WORKERS) as pool:
        found = list(pool.map(_parts, [path for _, path in specs.values()]))
    missing = [str(path) for (_, path), parts in zip(specs.values(), found, strict=True) if parts is None]
    if missing:
        logger.warning("%s: %d prefixes are not there, such as %s", place, len(missing), missing[0])
    sized = (SizedSpec(spec, parts or {}) for (spec, _), parts in zip(specs.values(), found, strict=True))
    return tuple(sized), nodes


def _parts(prefix: Path) -> dict[object, int] | None:
    """The bytes of every file below a prefix, by device and inode."""
    if not prefix.is_dir():
        return None
    found: dict[object, int] = {}
    todo = [str(prefix)]
    while todo:
        here = todo.pop()
        with naming(Path(here)), os.scandir(here) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    todo.append(entry.path)
                else:
                    status: Any = entry.stat(follow_symlinks=False)
                    found[status.st_dev, status.st_ino] = status.st_size
    return found
