"""A file with an environment and the files that it includes: one environment, whose parts keep their places.

Spack reads included files as configuration scopes (`included_scopes` in lib/spack/spack/config.py): they are weaker
than the file that includes them, and the first one is the strongest. They are merged here by the same rules, since an
environment moves without them, and since Spack would rank the environment template, which is merged in as well, above
them. What they name by relative paths is seen from the file that names it.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path
from typing import Any, Final, TypeVar

from foundation.errors import Fault, InvalidInputError
from foundation.spack.sections.table import SECTIONS
from foundation.validation import did_you_mean
from foundation.yaml_io import Document, Location, parse
from job_creator.definitions.paths import PathKind, read_path
from job_creator.definitions.recipes import recipe_folders, with_recipes_of_checkout
from job_creator.environments.marks import merge, unmarked

_MOVE_IT: Final = "put a copy of it into the repository, and name that by a path relative to this file"
_YAML: Final = (".yaml", ".yml")
Found = TypeVar("Found")
_NOT_FOR_US: Final = {
    "when": ("its condition is only known where Spack runs", "keep one file for each container"),
    "path_override_env_var": ("the variable is only known where Spack runs", "name one 'path'"),
    "git": ("a git repository may have changed from one place to the next", _MOVE_IT),
}


@dataclass(frozen=True, slots=True)
class Layers:
    """The documents of an environment. All of them have their sections below `spack:`, as files with one do."""

    documents: tuple[Document, ...]
    """The strongest first, which is the file itself."""
    used: frozenset[str]
    """Files and folders of the repository that were read or are named, seen from its top."""
    faults: tuple[Fault, ...] = ()
    """What is wrong with the outer form of any of them."""

    @property
    def environment(self) -> dict[str, Any]:
        """All of them as one, with folders of recipes as jobs see them."""
        sections = [with_recipes_of_checkout(_section(one), posixpath.dirname(one.path)) for one in self.documents]
        together = reduce(lambda stronger, weaker: merge(weaker, stronger, lists_add_up=True), sections)
        return {key: value for key, value in together.items() if unmarked(key) != "include"}


def read_layers(document: Document, root: Path) -> Layers:
    """A file and all that it includes, and what those include, with what is wrong on the way."""
    reader = _Reader(root)
    documents = (document, *reader.included(document, (document.path,)))
    named = (path for one in documents for path in recipe_folders(_section(one), posixpath.dirname(one.path)))
    return Layers(documents, frozenset((*reader.used, *named)), tuple(reader.faults))


class _Reader:
    """Follows the section `include` of files, and collects what is wrong."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.used: list[str] = []
        self.faults: list[Fault] = []

    def included(self, document: Document, through: tuple[str, ...]) -> Iterator[Document]:
        """All files that a document includes, the strongest first. `through` are the files that lead to it."""
        for key, entries in _section(document).items():
            if unmarked(str(key)) != "include" or not isinstance(entries, list):
                continue
            if key.endswith(":"):
                message = "'include::' would drop configuration that the builder image brings"
                self.faults.append(document.fault(("spack", key), message, "write 'include:'", of_key=True))
            for index, entry in enumerate(entries):
                location: Location = ("spack", key, index)
                for path in self._files(document, location, entry):
                    yield from self._read(document, location, path, through)

    def _read(self, by: Document, location: Location, path: str, through: tuple[str, ...]) -> Iterator[Document]:
        if path in through:
            self.faults.append(by.fault(location, f"{path} is included by itself", "remove one of the two"))
            return
        try:
            content = parse((self._root / path).read_bytes(), path)
        except InvalidInputError as error:
            self.faults += error.faults
            return
        if not isinstance(content.value, Mapping | None):
            self.faults.append(content.fault((), "the file must be a mapping", "its keys are sections of Spack"))
            return
        if isinstance(content.value, Mapping) and "spack" in content.value:
            hint = "remove the line 'spack:' and indent what is below it less"
            message = "an included file has its sections at the top"
            self.faults.append(content.fault(("spack",), message, hint, of_key=True))
            return
        found = _below_spack(content)
        yield found
        yield from self.included(found, (*through, path))

    def _files(self, document: Document, location: Location, entry: Any) -> list[str]:
        """The files that an entry means."""
        written: Any = {"path": entry} if isinstance(entry, str) else entry
        if not isinstance(written, Mapping) or not (isinstance(written.get("path"), str) or "git" in written):
            message, hint = "an entry of 'include' must be a path", "or a mapping with 'path'"
            self.faults.append(document.fault(location, message, hint))
            return []
        for key, (reason, hint) in _NOT_FOR_US.items():
            if key in written:
                message = f"{key!r} cannot be used: {reason}"
                self.faults.append(document.fault((*location, key), message, hint, of_key=True))
                return []
        if not isinstance(entry, str):
            location = (*location, "path")
        found = read_path(written["path"], posixpath.dirname(document.path))
        path = self._root / found.path
        if found.kind is not PathKind.REPOSITORY or not path.resolve().is_relative_to(self._root.resolve()):
            message = f"{written['path']!r} is not in the repository, so that only some jobs would see it"
            self.faults.append(document.fault(location, message, _MOVE_IT))
            return []
        self.used.append(found.path)
        if path.is_dir():
            return self._of_folder(document, location, found.path)
        if path.is_file():
            if "sha256" in written:
                self._verify(document, location, path, written["sha256"])
            return [found.path]
        if not written.get("optional"):
            self.faults.append(document.fault(location, f"there is no {found.path}", "paths are seen from this file"))
        return []

    def _verify(self, document: Document, location: Location, path: Path, sha256: Any) -> None:
        """Spack only looks at the checksum of files that it fetches; one that is written is meant, though."""
        actual = hashlib.sha256(path.read_bytes()).hexdigest()
        if sha256 != actual:
            place = (*location[:-1], "sha256")
            self.faults.append(document.fault(place, f"the file's sha256 is {actual}", "the file has changed"))

    def _of_folder(self, document: Document, location: Location, folder: str) -> list[str]:
        """A folder is a scope with one file for each section (`DirectoryConfigScope`)."""
        files = []
        for path in sorted((self._root / folder).iterdir()):
            if path.suffix not in _YAML or path.name.startswith(("_", ".")):
                continue
            shown = f"{folder}/{path.name}"
            if path.stem in SECTIONS and path.suffix == _YAML[0]:
                files.append(shown)
            else:
                message = "Spack reads no such file in an included folder; each is named '<section>.yaml'"
                hint = f"call it {path.stem}.yaml" if path.stem in SECTIONS else did_you_mean(path.stem, SECTIONS)
                self.faults.append(Fault(shown, 1, 1, message, hint))
        if not files:
            self.faults.append(document.fault(location, f"the folder {folder} has no file for a section"))
        return files


def _section(document: Document) -> Mapping[str, Any]:
    value = document.value.get("spack") if isinstance(document.value, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def _below_spack(document: Document) -> Document:
    """An included file as if it were one with an environment."""

    def below(found: Mapping[Location, Found]) -> dict[Location, Found]:
        return {("spack", *location): one for location, one in found.items()}

    return replace(
        document,
        value={"spack": document.value or {}},
        values=below(document.values),
        keys=below(document.keys),
        written=below(document.written),
        texts=below(document.texts),
    )
