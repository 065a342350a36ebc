"""The folder in which facts are kept, so that each file and each archive is read once.

    facts/elf/<first two digits>/<sha256 of the file>.json
    facts/binaries/<DAG hash>-<first 16 digits of the sha256 of the archive>.json

Files appear whole or not at all, those of the files in an archive before that of the archive: whoever is killed loses
no more than the archives that were being read. Several may fill the same folder.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from foundation.doors.files import read_file, write_files
from foundation.errors import naming
from job_creator.studies.binaries import CachedBinary
from job_creator.studies.splices.facts.values import (
    BinaryFacts,
    ElfFacts,
    binary_as_json,
    binary_from_json,
    elf_as_json,
    elf_from_json,
)

_FOLDER: Final = "facts"


class KeptFacts:
    """Facts below a folder, which is made when something is kept. Methods raise `FileAccessError`."""

    def __init__(self, folder: Path) -> None:
        self._binaries = folder / _FOLDER / "binaries"
        self._elf = folder / _FOLDER / "elf"

    def binary(self, binary: CachedBinary) -> BinaryFacts | None:
        """The facts of a binary; `None` where they are not known yet."""
        data = _content(self._binaries / _name(binary))
        return binary_from_json(data) if data is not None else None

    def keep_binary(self, binary: CachedBinary, facts: BinaryFacts) -> None:
        """Keep the facts of a binary, those of whose files are kept already."""
        write_files(self._binaries, {_name(binary): binary_as_json(facts)})

    def elf(self, sha256: str) -> ElfFacts | None:
        """The facts of a file; `None` where they are not known yet."""
        data = _content(self._elf / sha256[:2] / f"{sha256}.json")
        return elf_from_json(data) if data is not None else None

    def has_elf(self, sha256: str) -> bool:
        """Whether the facts of a file are known, in a form that can be read."""
        return self.elf(sha256) is not None

    def keep_elf(self, sha256: str, facts: ElfFacts) -> None:
        """Keep the facts of a file."""
        write_files(self._elf / sha256[:2], {f"{sha256}.json": elf_as_json(facts)})


def _name(binary: CachedBinary) -> str:
    return f"{binary.hash}-{binary.sha256[:16] or 'unknown'}.json"


def _content(path: Path) -> bytes | None:
    with naming(path):
        return read_file(path) if path.exists() else None
