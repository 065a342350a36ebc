"""What libabigail says of two libraries, and what follows from it for a file that is linked to them. Pure.

Exit codes are sets of bits, of which each is tested: 1 an error, 2 wrong usage, 4 a change, 8 a change that is
certainly incompatible. Source: abidiff(1) and abicompat(1) of libabigail 2.2, "Return values".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntFlag
from typing import Final

from job_creator.studies.splices.prediction.verdicts import MissingKind, MissingPart

_PLACE: Final = re.compile(r" at [^\s:]+:\d+(:\d+)?")
_FILE: Final = re.compile(r"'?\S*/[0-9a-f]{64}'?")
_SHOWN: Final = 4


class AbigailBits(IntFlag):
    """What an exit code of libabigail's programs is made of."""

    ERROR = 1
    USAGE = 2
    CHANGE = 4
    INCOMPATIBLE = 8


@dataclass(frozen=True, slots=True)
class AbigailReport:
    """What a program of libabigail answered."""

    bits: int
    text: str

    @property
    def is_error(self) -> bool:
        """Whether it could not compare."""
        return bool(self.bits & (AbigailBits.ERROR | AbigailBits.USAGE)) or self.bits < 0


@dataclass
class TypeAnswer:
    """What is known of the types that files share with the libraries that are replaced."""

    missing: set[MissingPart] = field(default_factory=set)
    doubts: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)
    """Why types could not be compared."""
    tools: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AbigailNames:
    """What a file and its library are called in messages."""

    user: str
    library: str


def add_reports(
    answer: TypeAnswer,
    names: AbigailNames,
    compared: AbigailReport,
    expected: tuple[AbigailReport, AbigailReport] | None,
) -> None:
    """Note what `abicompat` says of a file with two libraries (`compared`).

    `expected` is what it says in weak mode of what the file itself takes the types of the old and of the new library
    for; `None` for a file without debug information. Weak mode always tells something, such as that a type is only
    declared in the file; what counts is what it tells of the new library alone.
    """
    if compared.is_error:
        answer.errors.append(f"abicompat failed on {names.user}: {_first(compared.text)}")
    elif compared.bits & AbigailBits.INCOMPATIBLE:
        answer.missing.add(_part(names, _first(compared.text)))
    elif compared.bits & AbigailBits.CHANGE and expected is None:
        answer.doubts.append(f"types of {names.library} changed, and {names.user} does not show what it knows of them")
    elif compared.bits & AbigailBits.CHANGE and expected:
        if any(report.is_error for report in expected):
            answer.errors.append(f"abicompat failed on {names.user}: {_first(expected[1].text)}")
            return
        new = _lines(expected[1].text) - _lines(expected[0].text)
        if new:
            answer.missing.add(_part(names, "; ".join(_in_order(expected[1].text, new)[:_SHOWN])))


def _part(names: AbigailNames, what: str) -> MissingPart:
    return MissingPart(MissingKind.TYPE, what, names.library, names.user)


def _lines(text: str) -> set[str]:
    return {_plain(line) for line in text.splitlines() if line.strip()}


def _in_order(text: str, wanted: set[str]) -> list[str]:
    return list(dict.fromkeys(plain for line in text.splitlines() if (plain := _plain(line)) in wanted))


def _plain(line: str) -> str:
    """Without what differs between any two files: names and places in sources."""
    return _FILE.sub("", _PLACE.sub("", line)).strip()


def _first(text: str) -> str:
    """The line that says most: of what was removed or changed, not the heading or the summary."""
    lines = [plain for line in text.splitlines() if (plain := _plain(line))]
    return next((line for line in lines if line.startswith("[")), lines[0] if lines else "no message")
