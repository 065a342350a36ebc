"""What may lie below `container_definitions/`: each file there is understood, left alone for its name, or a fault."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from foundation.errors import Fault
from foundation.validation import close_to
from job_creator.project_files import DEFINITIONS_FOLDER, EPILOGUE_FILE, EXTRA_FILES_FOLDER

_YAML: Final = (".yaml", ".yml")
_SUFFIXES: Final = (*_YAML, ".def")
_NAMED: Final = re.compile(r"(.+)(\.yaml|\.yml|\.def)\b", re.IGNORECASE)
_ENVIRONMENTS: Final = tuple(f"spack{suffix}" for suffix in _YAML)
_SWITCH_OFF: Final = "start its name with '_' if it is to be left alone"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file that defines a container: its name, and the epilogue beside it, if there is one."""

    name: str
    architecture: str
    path: Path
    epilogue: Path | None = None

    @property
    def is_folder(self) -> bool:
        """Whether its folder is the definition, with all that lies in it."""
        return self.path.parent.name == self.name


@dataclass(frozen=True, slots=True)
class Stray:
    """A file or folder that defines nothing, and what is wrong with it unless a definition names it."""

    path: Path
    fault: Fault

    def faults(self, folder: Path, used: Collection[Path]) -> Iterator[Fault]:
        """What is wrong when definitions name the files and folders that are `used`. Raises `OSError`."""
        files = list(_files(self.path))
        unused = [one for one in files if not any(one == named or named in one.parents for named in used)]
        if len(unused) == len(files) and self.path not in used:
            yield self.fault
            return
        for one in unused:
            yield _fault(folder, one, "no definition uses this file", _SWITCH_OFF)


def look(folder: Path, architectures: Collection[str]) -> Iterator[Candidate | Stray]:
    """The definitions below the folder in the order of their names, and what is none. Raises `OSError`.

    Names that start with `_` or `.` are switched off; `README` files and other `.md` files are for people.
    """
    for path in _entries(folder):
        if not path.is_dir():
            where = f"{DEFINITIONS_FOLDER}/{next(iter(architectures), '<architecture>')}/"
            hint = f"move it into {where}" if path.suffix in _SUFFIXES else _hint(path)
            message = "definitions lie in the folder of an architecture"
            yield Stray(path, _fault(folder, path, message, hint))
        elif path.name not in architectures:
            message = f"the site file knows no architecture {path.name!r}"
            hint = f"add it below 'architectures:', which has {', '.join(sorted(architectures))}, or rename the folder"
            yield Stray(path, _fault(folder, path, message, hint))
        else:
            for inner in _entries(path):
                yield from _look_at(folder, inner)


def _look_at(folder: Path, path: Path) -> Iterator[Candidate | Stray]:
    """What lies directly in the folder of an architecture."""
    architecture = path.parent.name
    if path.is_dir():
        yield from _look_into(folder, path)
    elif path.suffix in _SUFFIXES:
        yield Candidate(path.stem, architecture, path)
    else:
        yield Stray(path, _fault(folder, path, f"{path.name!r} is no definition", _hint(path)))


def _look_into(folder: Path, path: Path) -> Iterator[Candidate | Stray]:
    """The definition that is a folder."""
    files = {one.name: one for one in _entries(path) if not one.is_dir()}
    environments = [files[name] for name in _ENVIRONMENTS if name in files]
    missing = [*([] if environments else _ENVIRONMENTS[:1]), *([] if EPILOGUE_FILE in files else [EPILOGUE_FILE])]
    if not environments:
        hint = "add it, or start the folder's name with '_' to switch it off"
        yield Stray(path, _fault(folder, path, "the folder has no spack.yaml", hint))
    for one in environments:
        yield Candidate(path.name, path.parent.name, one, files.get(EPILOGUE_FILE))
    for one in _entries(path):
        if one.is_dir() or one.name not in (*_ENVIRONMENTS, EPILOGUE_FILE):
            meant = [] if one.is_dir() else close_to(one.name.lower(), missing)
            hint = f"call it {meant[0]}" if meant else f"files for the container lie below {EXTRA_FILES_FOLDER}/"
            message = "the definition in this folder does not use it"
            yield Stray(one, _fault(folder, one, message, f"{hint}, or {_SWITCH_OFF}"))


def _entries(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        for_people = path.stem.upper() == "README" or path.suffix.lower() == ".md"
        if not path.name.startswith(("_", ".")) and (path.is_dir() or not for_people):
            yield path


def _files(path: Path) -> Iterator[Path]:
    """The files that count, at or below a path."""
    if not path.is_dir():
        yield path
        return
    for inner in _entries(path):
        yield from _files(inner)


def _hint(path: Path) -> str:
    """What a file was meant to be, as far as its name says it."""
    if path.name.lower().startswith("dockerfile"):
        return f"lines for a Dockerfile are {EPILOGUE_FILE} in the folder of a definition, beside its spack.yaml"
    if named := _NAMED.match(path.name):
        meant = f"{named[1]}{named[2].lower()}"
    else:
        meant = next((f"{path.stem}{suffix}" for suffix in close_to(path.suffix, _SUFFIXES)), "")
    if meant and not (path.parent / meant).exists():
        return f"call it {meant} if it is one, or {_SWITCH_OFF}"
    return _SWITCH_OFF


def _fault(folder: Path, path: Path, message: str, hint: str) -> Fault:
    return Fault(f"{DEFINITIONS_FOLDER}/{path.relative_to(folder).as_posix()}", 1, 1, message, hint)
