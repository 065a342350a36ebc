"""What an audit finds, as values. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class AuditKind(StrEnum):
    """What is wrong with a file."""

    INSTRUCTIONS = "instructions"
    LIBRARY = "library"
    SEARCH_PATH = "search path"
    INTERPRETER = "interpreter"
    BUILD_PATH = "build path"


@dataclass(frozen=True, slots=True)
class AuditFinding:
    """One thing about one file. A fault keeps it from running, or lets others decide what runs; the rest is odd."""

    package: str
    """Name and version, or empty where nobody knows."""
    path: str
    kind: AuditKind
    is_fault: bool
    said: str

    def to_value(self) -> dict[str, str | bool]:
        """As JSON has it."""
        value = {"package": self.package, "path": self.path, "kind": str(self.kind), "said": self.said}
        return {**value, "fault": self.is_fault}


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What was looked at, and what was found."""

    files: int
    """Programs, libraries and scripts of Spack's packages."""
    findings: tuple[AuditFinding, ...]
    unlooked: tuple[str, ...] = ()
    """What was not looked at, and why."""

    @property
    def faults(self) -> tuple[AuditFinding, ...]:
        """Those that keep the container from being published."""
        return tuple(one for one in self.findings if one.is_fault)

    def rows(self) -> tuple[tuple[str, ...], ...]:
        """A line for each package, kind and sentence: how many files, and the first of them."""
        groups: dict[tuple[bool, str, str, str], list[str]] = {}
        for one in self.findings:
            groups.setdefault((not one.is_fault, one.package, str(one.kind), one.said), []).append(one.path)
        return tuple(
            ("odd" if is_odd else "fault", package or "?", kind, str(len(paths)), f"{said}: {min(paths)}")
            for (is_odd, package, kind, said), paths in sorted(groups.items())
        )


def in_order(findings: Iterable[AuditFinding]) -> tuple[AuditFinding, ...]:
    """Faults first, then by package and path; none twice."""
    return tuple(sorted({*findings}, key=lambda one: (not one.is_fault, one.package, one.path, one.kind, one.said)))
