"""Files of the repository that go into a container: `files:` of a definition, `%files` of a Singularity definition.

They lie below `spacktainer/`, and what is copied is what lies there: no link leads out of it, and nothing is a device.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from foundation.doors.files import strange_entries
from foundation.errors import Fault, InvalidInputError
from foundation.yaml_io import Document
from job_creator.definitions.file import Spacktainer
from job_creator.definitions.sections import default_arguments, filled, sections
from job_creator.project_files import EXTRA_FILES_FOLDER

_WITH_FILES: Final = ("files", "appfiles")
_PATTERN: Final = re.compile(r"[*?\[\]{}\\'\"$`~]")
"""What Apptainer's shell makes something else of."""


@dataclass(frozen=True, slots=True)
class ExtraFile:
    """A file or folder that is copied into the container; `source` is relative to `spacktainer/`."""

    source: str
    target: str


def read_extra_files(written: Spacktainer, document: Document, root: Path) -> tuple[ExtraFile, ...]:
    """What `files:` of a definition names. Raises `InvalidInputError` for what cannot be copied as it is."""
    files = tuple(ExtraFile(*pair.split(":")) for pair in written.files)
    faults = [
        document.fault(("spacktainer", "files", index), message, *hint)
        for index, file in enumerate(files)
        for message, *hint in _wrong(root, file.source)
    ]
    if faults:
        raise InvalidInputError(faults)
    return files


def read_files_of_sections(text: str, path: str, root: Path) -> tuple[ExtraFile, ...]:
    """What `%files` of a Singularity definition names. Raises `InvalidInputError`.

    Source: Apptainer user guide, "Definition files", section "%files"; without a target the source is one as well.
    """
    arguments = default_arguments(text)
    files: list[ExtraFile] = []
    faults: list[Fault] = []
    for section in sections(text):
        if section.name not in _WITH_FILES:
            continue
        for number, line in enumerate(section.body, start=section.line + 1):
            words = filled(line, arguments).split()
            if not words or words[0].startswith("#"):
                continue
            column = len(line) - len(line.lstrip()) + 1
            source, *target = words
            below = posixpath.normpath(source).removeprefix(f"{EXTRA_FILES_FOLDER}/")
            wrong = list(_wrong_line(source, below, target) or _wrong(root, below))
            faults += [Fault(path, number, column, message, *hint) for message, *hint in wrong]
            files.append(ExtraFile(below, (target or [source])[0]))
    if faults:
        raise InvalidInputError(faults)
    return tuple(files)


def _wrong_line(source: str, below: str, target: list[str]) -> list[tuple[str, str]]:
    if len(target) > 1:
        return [("more than a source and a target", "names with spaces cannot be copied; rename the file")]
    if found := _PATTERN.search(" ".join([source, *target])):
        return [(f"{found[0]!r} means something else to Apptainer", "name each file or folder as it is")]
    if posixpath.isabs(source) or ".." in source.split("/") or below == posixpath.normpath(source):
        message = f"{source!r} does not lie below {EXTRA_FILES_FOLDER}/, so nobody knows when it changes"
        return [(message, f"put it there, and write '{EXTRA_FILES_FOLDER}/…'")]
    return []


def _wrong(root: Path, source: str) -> Iterator[tuple[str, ...]]:
    """What is wrong with a file or folder below `spacktainer/`, and what to do about it."""
    folder = root / EXTRA_FILES_FOLDER
    path = folder / source
    if not os.path.lexists(path):
        yield (f"there is no {EXTRA_FILES_FOLDER}/{source}",)
        return
    if Path(os.path.realpath(path)) != root.resolve() / EXTRA_FILES_FOLDER / posixpath.normpath(source):
        message = f"{EXTRA_FILES_FOLDER}/{source} is a link, or lies behind one; what it leads to may be anything"
        yield message, "put the file itself there"
        return
    for entry, reason in strange_entries(path):
        yield f"{entry.relative_to(root).as_posix()} {reason}", "only files, folders, and links among them are copied"
