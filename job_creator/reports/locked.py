"""Reads the packages of lockfiles, for reports."""

from __future__ import annotations

import json
from pathlib import Path

from foundation.doors.files import read_file
from foundation.errors import Fault, InvalidInputError, NotThereError
from foundation.spack.grammar.concrete import concrete_node
from foundation.spack.lockfile import nodes_in, read_lockfile
from job_creator.reports.changes import LockedPackage, Packages


def read_packages(path: Path) -> Packages:
    """The packages of a lockfile, or of all lockfiles below a folder.

    Raises `NotThereError` for a folder that has none, `InvalidInputError` and `FileAccessError`.
    """
    found: dict[str, LockedPackage] = {}
    for file in _lockfiles(path):
        found |= packages_of(read_file(file), str(file))
    return found


def merged_lock(path: Path) -> bytes:
    """One lockfile with the packages of all that `read_packages` reads, without roots. Raises what that does."""
    files = _lockfiles(path)
    contents = {str(file): read_file(file) for file in files}
    nodes = {key: node for name, content in contents.items() for key, node in nodes_in(content, name).items()}
    meta = json.loads(contents[str(files[0])])["_meta"]
    return json.dumps({"_meta": meta, "roots": [], "concrete_specs": nodes}, separators=(",", ":")).encode()


def _lockfiles(path: Path) -> list[Path]:
    files = sorted(path.rglob("*.lock")) if path.is_dir() else [path]
    if not files:
        raise NotThereError(f"{path}: no lockfile is below this folder")
    return files


def packages_of(content: bytes, path: str) -> dict[str, LockedPackage]:
    """The packages of a lockfile, by DAG hash. Raises `InvalidInputError`; `path` is for its message."""
    nodes = nodes_in(content, path)
    try:
        return {
            key: LockedPackage(concrete_node(nodes[key], key), spec.package_hash, spec.is_external)
            for key, spec in read_lockfile(content, path).specs.items()
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise InvalidInputError([Fault(path, 1, 1, f"not laid out like a lockfile: {error}")]) from None
