"""What is found when a mirror is verified, and what that means for who relies on it. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Final

from foundation.errors import ExitCode
from foundation.spack import layout_v2, layout_v3
from foundation.stores.schemes import kind_of


class FindingKind(StrEnum):
    """What can be found. Each kind is incomplete, damaged, or only worth knowing."""

    MISSING = "missing"
    LINK = "link"
    NAME = "name"
    CHECKSUM = "checksum"
    SIZE = "size"
    MANIFEST = "manifest"
    INDEX = "index"
    SIGNATURE = "signature"
    UNSIGNED = "unsigned"
    KEY = "key"
    PRIVATE_KEY = "private key"
    NEVER = "never"
    NOT_CHECKED = "not checked"
    LEFT_OVER = "left over"


INCOMPLETE: Final = frozenset({FindingKind.MISSING, FindingKind.LINK})
"""Something that could be there is not."""
NOTES: Final = frozenset({FindingKind.NEVER, FindingKind.NOT_CHECKED, FindingKind.LEFT_OVER})
"""Nothing is wrong."""
_REPAIRABLE: Final = frozenset({FindingKind.MISSING, FindingKind.CHECKSUM, FindingKind.SIZE, FindingKind.MANIFEST})
_BINARIES: Final = (layout_v2.FOLDER, layout_v3.FOLDER, layout_v3.BLOBS)


@dataclass(frozen=True, slots=True)
class MirrorFinding:
    """Something that was found: at which key, for which package (`name@version/hash`, or empty), and what about it.

    `urls` and `sha256` say where a missing source can be had, and how to know it.
    """

    kind: FindingKind
    key: str
    message: str
    package: str = ""
    urls: tuple[str, ...] = ()
    sha256: str = ""

    @property
    def is_damage(self) -> bool:
        """Whether something is there and wrong."""
        return self.kind not in INCOMPLETE | NOTES

    def __str__(self) -> str:
        """One line with everything in it."""
        where = f"{self.package}: {self.key}" if self.package and self.key else self.package or self.key
        known = " ".join((*self.urls[:1], *([f"sha256 {self.sha256}"] if self.sha256 else [])))
        return f"{self.kind}: {where}: {self.message}" + (f" ({known})" if known else "")


@dataclass(frozen=True)
class VerificationReport:
    """What verifying a mirror gave. `counts` are of what was looked at: specs, sources, signatures, bytes read."""

    mirror: str
    is_deep: bool
    findings: tuple[MirrorFinding, ...]
    counts: Mapping[str, int] = field(default_factory=dict)
    signers: tuple[str, ...] = ()
    """The fingerprints of the keys that made the good signatures."""

    @property
    def exit_code(self) -> ExitCode:
        """What the command ends with. Damage wins over what is missing."""
        if any(one.is_damage for one in self.findings):
            return ExitCode.DAMAGED
        return ExitCode.NOT_READY if any(one.kind in INCOMPLETE for one in self.findings) else ExitCode.OK

    @property
    def remedy(self) -> str:
        """The command that puts what is damaged or missing there again; empty if nothing is, or none can."""
        kind = kind_of(self.mirror)
        found = [one for one in self.findings if one.kind in _REPAIRABLE]
        if not found or kind is None or not kind.can_be_filled:
            return ""
        binaries = [one for one in found if one.key.startswith(_BINARIES) or not kind.holds_sources]
        words = ["jc mirror create LOCKFILE --to", self.mirror, "--check"]
        words += ["--binaries"] if binaries else []
        words += ["--no-sources"] if len(binaries) == len(found) else []
        words += ["--unsigned"] if not kind.holds_sources else []
        return " ".join(words)

    def as_value(self) -> dict[str, Any]:
        """The report as JSON has it."""
        return {
            "mirror": self.mirror,
            "deep": self.is_deep,
            "complete": self.exit_code is ExitCode.OK,
            "damaged": self.exit_code is ExitCode.DAMAGED,
            "counts": dict(self.counts),
            "signers": self.signers,
            "findings": [asdict(one) for one in self.findings],
            "remedy": self.remedy,
        }

    def summary(self) -> str:
        """How many findings of each kind, and what was looked at, in one line."""
        kinds = Counter(one.kind for one in self.findings if one.kind not in NOTES)
        wrong = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())) or "nothing is wrong"
        looked = ", ".join(f"{count:,} {what}" for what, count in self.counts.items() if count)
        how = "all content was read" if self.is_deep else "content was not read, see --deep"
        return f"{self.mirror}: {wrong} ({looked or 'nothing there to look at'}; {how})"


def in_order(findings: Iterable[MirrorFinding]) -> tuple[MirrorFinding, ...]:
    """Without repetitions; damage first, then what is missing, then what is worth knowing."""

    def rank(one: MirrorFinding) -> tuple[int, str, str, str]:
        return (0 if one.is_damage else 1 if one.kind in INCOMPLETE else 2, one.kind, one.package, one.key)

    return tuple(sorted(dict.fromkeys(findings), key=rank))
