"""Asks libabigail's programs, if they are installed, about libraries that have debug information.

Answers are kept by the checksums of the files that they are about and by the version of the programs.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from foundation.doors.files import read_file, write_files
from foundation.doors.processes import OutOfTimeError, follow, run
from foundation.errors import naming
from job_creator.studies.binaries import CachedBinary, Caches
from job_creator.studies.splices.facts.archive import read_archive
from job_creator.studies.splices.prediction.comparison import LinkedLibrary
from job_creator.studies.splices.prediction.type_changes import (
    AbigailNames,
    AbigailReport,
    TypeAnswer,
    add_reports,
)
from job_creator.studies.splices.prediction.world import ElfObject, Library

_SECONDS: Final = 600.0
_LONGEST: Final = 20_000
"""Characters of a report that are kept."""


@dataclass
class Abigail:
    """libabigail's programs, and the files that they are shown."""

    version: str
    folder: Path
    """Where answers are kept."""
    workplace: Path
    """Where files of archives are put, by their sha256; a temporary folder."""
    caches: Caches
    binaries: Mapping[str, CachedBinary]
    environment: Mapping[str, str]
    _memory: dict[str, AbigailReport] = field(default_factory=dict)

    def ask(self, library: Library, linked: Sequence[LinkedLibrary]) -> TypeAnswer:
        """Compare the types that files share with the libraries that are replaced. Raises `CouldNotAskError`."""
        answer = TypeAnswer(tools={"libabigail": self.version})
        for one in linked:
            if one.old.sha256 != one.new.sha256:
                self._compare(library, one, answer)
        return answer

    def _compare(self, library: Library, one: LinkedLibrary, answer: TypeAnswer) -> None:
        names = AbigailNames(_named(library, one.user), _named(library, one.new))
        silent = [each for each in (one.old, one.new) if not library.facts(each).has_debug_information]
        if silent:
            answer.unseen.append(f"{_named(library, silent[0])} has no debug information, so types were not seen")
            return
        same = self._report("abidiff", one.old, one.new)
        if same.bits == 0:
            return
        compared = self._report("abicompat", one.user, one.old, one.new)
        expected = None
        if library.facts(one.user).has_debug_information and compared.bits:
            weak = ("abicompat", "--weak-mode")
            expected = (self._report(*weak, one.user, one.old), self._report(*weak, one.user, one.new))
        add_reports(answer, names, compared, expected)

    def _report(self, program: str, *arguments: str | ElfObject) -> AbigailReport:
        name = "-".join(one.sha256[:24] if isinstance(one, ElfObject) else one.strip("-") for one in arguments)
        path = self.folder / self.version / program / f"{name}.json"
        key = str(path)
        if key not in self._memory:
            found = _kept(path)
            if found is None:
                found = self._asked(program, arguments)
                value = {"bits": found.bits, "text": found.text}
                write_files(path.parent, {path.name: json.dumps(value).encode()})
            self._memory[key] = found
        return self._memory[key]

    def _asked(self, program: str, arguments: Sequence[str | ElfObject]) -> AbigailReport:
        lines: list[str] = []
        words = [str(self._file(one)) if isinstance(one, ElfObject) else one for one in arguments]
        try:
            bits = follow(
                [program, *words], lines.append, folder=self.workplace, environment=self.environment, seconds=_SECONDS
            )
        except OutOfTimeError as error:
            return AbigailReport(-1, str(error))
        return AbigailReport(bits, "\n".join(lines)[:_LONGEST])

    def _file(self, one: ElfObject) -> Path:
        """The file itself, out of its archive."""
        path = self.workplace / one.sha256
        if path.exists():
            return path

        def tell(_: str, sha256: str, content: IO[bytes]) -> None:
            if sha256 == one.sha256 and not path.exists():
                with naming(path), path.open("wb") as target:
                    shutil.copyfileobj(content, target)

        binary = self.binaries[one.binary]
        read_archive(self.caches.stream(binary), tell, f"{self.caches.url}: {binary.archive}")
        return path


def abigail_version() -> str:
    """The version of libabigail on this machine; empty where its programs are not installed."""
    if shutil.which("abidiff") is None or shutil.which("abicompat") is None:
        return ""
    match = re.search(r"\d[\w.]*", run(["abidiff", "--version"], seconds=60))
    return match[0] if match else "unknown"


def _kept(path: Path) -> AbigailReport | None:
    with naming(path):
        if not path.exists():
            return None
    try:
        value = json.loads(read_file(path))
        return AbigailReport(int(value["bits"]), str(value["text"]))
    except (ValueError, KeyError, TypeError):
        return None


def _named(library: Library, one: ElfObject) -> str:
    return f"{library.binaries[one.binary].node}: {one.path}"
