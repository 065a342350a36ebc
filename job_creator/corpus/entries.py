"""What was collected of packages, as `scripts/templates/collecting.py` writes it down. Pure.

corpus/archives/<two letters>/<sha256>.tar.gz    the files of a package; a folder for each kind
corpus/packages/<name>-<version>-<hash>.json     what it is of, and how much of each kind
corpus/manifest.json                             all of these records, written at the end of a run
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from foundation.errors import DamagedError

FOLDER: Final = "corpus/"
ARCHIVES: Final = f"{FOLDER}archives/"
PACKAGES: Final = f"{FOLDER}packages/"
MANIFEST: Final = f"{FOLDER}manifest.json"
FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class CollectedKind:
    """What was collected of one kind."""

    files: int
    bytes: int
    """Of these files, before they were packed."""
    because: str = ""
    """Why there is nothing, where that is known."""


@dataclass(frozen=True, slots=True)
class CorpusEntry:
    """What was collected of a package."""

    hash: str
    package: str
    version: str
    license: str
    """The expression that its recipe states; empty where it states none."""
    archive: str
    """The key of the archive."""
    sha256: str
    bytes: int
    """Of the archive."""
    collected: Mapping[str, CollectedKind]
    """By kind: `bitcode`, `sources`, `licenses`."""

    @property
    def named(self) -> str:
        """As Spack writes it."""
        return f"{self.package}@{self.version}/{self.hash[:7]}"

    def value(self) -> dict[str, Any]:
        """The record of it."""
        return {
            "format": FORMAT,
            "hash": self.hash,
            "package": self.package,
            "version": self.version,
            "license": self.license,
            "collected": {
                kind: {"files": one.files, "bytes": one.bytes, "because": one.because}
                for kind, one in self.collected.items()
            },
            "archive": {"key": self.archive, "sha256": self.sha256, "bytes": self.bytes},
        }


def hash_in(key: str) -> str:
    """The DAG hash in the key of a record; empty if it is none."""
    name = key.removeprefix(PACKAGES)
    return name.removesuffix(".json").rpartition("-")[2] if name != key and name.endswith(".json") else ""


def read_record(content: bytes, place: str) -> CorpusEntry:
    """A record. Raises `DamagedError`."""
    try:
        return _entry(json.loads(content))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise DamagedError(f"{place}: is no record of what was collected of a package") from None


def read_manifest(content: bytes, place: str) -> tuple[CorpusEntry, ...]:
    """All records of a manifest. Raises `DamagedError`."""
    try:
        value = json.loads(content)
        _require_format(value)
        return tuple(map(_entry, value["packages"]))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise DamagedError(f"{place}: is no list of what was collected") from None


def manifest_content(entries: Iterable[CorpusEntry]) -> bytes:
    """The manifest of these packages, the same in whichever order they come."""
    ordered = sorted(entries, key=lambda one: (one.package, one.version, one.hash))
    value = {"format": FORMAT, "packages": [one.value() for one in ordered]}
    return f"{json.dumps(value, indent=1)}\n".encode()


def _entry(value: Mapping[str, Any]) -> CorpusEntry:
    _require_format(value)
    archive = value["archive"]
    collected = {
        str(kind): CollectedKind(int(one["files"]), int(one["bytes"]), str(one["because"]))
        for kind, one in value["collected"].items()
    }
    hash_, package, version, license_ = (str(value[name]) for name in ("hash", "package", "version", "license"))
    key, sha256, size = str(archive["key"]), str(archive["sha256"]), int(archive["bytes"])
    return CorpusEntry(hash_, package, version, license_, key, sha256, size, collected)


def _require_format(value: Mapping[str, Any]) -> None:
    if value["format"] != FORMAT:
        raise ValueError(value["format"])
