"""The fingerprint of the inputs of a build."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file as it counts for a fingerprint: git's mode and the sha256 of its content.

    The mode is 100644, 100755, 120000 of a link, or 040000 of a folder with nothing in it.

    Only the executable bit of the permissions counts, as in git: the others depend on the umask of the checkout.
    """

    path: str
    mode: str
    sha256: str


def fingerprint(inputs: Mapping[str, str]) -> str:
    """The sha256 over the inputs of a build, whatever their order, as 64 hex digits."""
    return hashlib.sha256(json.dumps(inputs, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def files_fingerprint(entries: Iterable[FileEntry]) -> str:
    """The sha256 over names, modes and contents of files, as 64 hex digits."""
    return fingerprint({entry.path: f"{entry.mode} {entry.sha256}" for entry in entries})
