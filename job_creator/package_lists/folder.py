"""The folder of lockfiles that `jc packages lock` fills, and `jc build` reads.

    NAME.lock        Spack's own lockfile of one spec, or of specs that are concretized together; whole or not there
    failures.jsonl   what could not be concretized, a JSON object a line; see `LockFailure`
    spack.yaml       the environment that all of them were solved in, without specs; it says how they are built
    locks.json       what all of that is of: `version`, `definition`, `fingerprint`, what is to be
                     collected, and the specs of each NAME
    .solving/        what a run needs for itself: caches and logs of its workers

A name is that of its spec, or begins with it and ends with letters of a checksum where a spec has other characters than
file names should have.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from foundation.doors.files import append_line, read_file, write_files
from foundation.errors import Fault, InvalidInputError, RefusedError
from foundation.yaml_io import dump

SUFFIX: Final = ".lock"
FAILURES: Final = "failures.jsonl"
LIST: Final = "locks.json"
MANIFEST: Final = "spack.yaml"
WORK: Final = ".solving"
HEADER: Final = "Written by 'jc packages lock'; says how the packages of all lockfiles beside it are built."
VERSION: Final = 1
_LETTERS: Final = 7
_LONGEST: Final = 80


@dataclass(frozen=True, slots=True)
class LockWish:
    """Specs that are to be concretized together."""

    name: str
    """Of its file."""
    specs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LockFailure:
    """Specs that could not be concretized, as a line of `failures.jsonl` has it."""

    name: str
    specs: tuple[str, ...]
    kind: str
    """`class` in the file; one of `classes.CLASSES`."""
    message: str
    """As Spack said it."""
    seconds: float

    def line(self) -> str:
        """The line."""
        value = {"class" if key == "kind" else key: inner for key, inner in asdict(self).items()}
        return json.dumps(value)


def wish(specs: Sequence[str], name: str = "") -> LockWish:
    """A wish with a name of its own, or that of its first spec."""
    text = name or specs[0]
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", text).strip("._-")[:_LONGEST]
    if plain == text:
        return LockWish(plain, tuple(specs))
    letters = hashlib.sha256(text.encode()).hexdigest()[:_LETTERS]
    return LockWish(f"{plain}-{letters}" if plain else letters, tuple(specs))


@dataclass(frozen=True)
class LockFolder:
    """Such a folder. All of its methods raise `FileAccessError`."""

    path: Path

    @property
    def work(self) -> Path:
        """What a run needs for itself."""
        return self.path / WORK

    def claim(
        self,
        definition: str,
        fingerprint: str,
        wishes: Iterable[LockWish],
        section: Mapping[str, Any],
        collect: Sequence[str] = (),
    ) -> None:
        """Make it the folder of these wishes in an environment with these sections.

        Lockfiles and failures that it has stay. Raises `RefusedError` where it is of something else.
        """
        known = self._list()
        if known and (known.get("definition"), known.get("fingerprint")) != (definition, fingerprint):
            raise RefusedError(
                f"{self.path}: is of {known.get('definition')} as it was, or of another Spack; "
                "name another folder, or remove this one"
            )
        if not known and self.path.is_dir() and any(self.path.glob(f"*{SUFFIX}")):
            raise RefusedError(f"{self.path}: has lockfiles that 'jc packages lock' did not write; name another folder")
        value = {
            "version": VERSION,
            "definition": definition,
            "fingerprint": fingerprint,
            "collect": list(collect),
            "locks": {one.name: list(one.specs) for one in wishes},
        }
        manifest = dump({"spack": {**section, "specs": []}}, HEADER)
        write_files(self.path, {MANIFEST: manifest.encode(), LIST: f"{json.dumps(value, indent=1)}\n".encode()})

    @property
    def collect(self) -> tuple[str, ...]:
        """What `jc build` is to collect of the packages. Raises `RefusedError` for a list that this jc cannot read."""
        return tuple(map(str, self._list().get("collect", ())))

    def locked(self) -> frozenset[str]:
        """The names that have a lockfile."""
        return frozenset(path.name.removesuffix(SUFFIX) for path in self.path.glob(f"*{SUFFIX}"))

    def failures(self) -> dict[str, LockFailure]:
        """What failed, by name; of several lines of one name the last one counts, and a lockfile more than all.

        A line that was cut off when a run was killed does not count. Raises `InvalidInputError` for other lines.
        """
        path = self.path / FAILURES
        content = read_file(path) if path.is_file() else b""
        locked = self.locked()
        found = {}
        for number, line in enumerate(content.split(b"\n")[:-1], start=1):
            failure = _failure(line, str(path), number)
            found[failure.name] = failure
        return {name: failure for name, failure in found.items() if name not in locked}

    def add_lock(self, name: str, content: bytes) -> None:
        """Write a lockfile; it is there whole or not at all."""
        write_files(self.path, {f"{name}{SUFFIX}": content})

    def add_failure(self, failure: LockFailure) -> None:
        """Write down what failed, after all that is written down."""
        append_line(self.path / FAILURES, failure.line())

    def keep_failures(self, failures: Iterable[LockFailure]) -> None:
        """Write down these failures and no others."""
        lines = "".join(f"{one.line()}\n" for one in failures)
        write_files(self.path, {FAILURES: lines.encode()})

    def _list(self) -> Mapping[str, Any]:
        path = self.path / LIST
        if not path.is_file():
            return {}
        try:
            value = json.loads(read_file(path))
        except ValueError:
            value = None
        if not isinstance(value, Mapping) or value.get("version") != VERSION:
            raise RefusedError(f"{path}: is no list of lockfiles that this jc wrote; name another folder")
        return value


def _failure(line: bytes, path: str, number: int) -> LockFailure:
    try:
        value = json.loads(line)
        return LockFailure(
            str(value["name"]),
            tuple(map(str, value["specs"])),
            str(value["class"]),
            str(value["message"]),
            float(value["seconds"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidInputError([Fault(path, number, 1, f"is no failure: {error!r}")]) from None
