"""Reads the packages of lockfiles, for reports."""

from __future__ import annotations

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
    files = sorted(path.rglob("*.lock")) if path.is_dir() else [path]
    if not files:
        raise NotThereError(f"{path}: no lockfile is below this folder")
    found: dict[str, LockedPackage] = {}
    for file in files:
        found |= packages_of(read_file(file), str(file))
    return found


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
