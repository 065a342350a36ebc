"""What is said of a splice, and why. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any

from job_creator.studies.splices.facts.values import SpecNode


class SpliceVerdict(IntEnum):
    """As in the matrices: works, not known, does not work."""

    WORKS = 1
    UNKNOWN = 0
    FAILS = -1


class Confidence(StrEnum):
    """How far a verdict goes: what symbols show, or the types behind them as well, from debug information."""

    SYMBOLS = "symbols"
    TYPES = "types"


class MissingKind(StrEnum):
    """What the loader or a program would not find."""

    LIBRARY = "library"
    VERSION = "version"
    SYMBOL = "symbol"
    KIND = "kind of symbol"
    MACHINE = "machine"
    TYPE = "type"


@dataclass(frozen=True, slots=True, order=True)
class MissingPart:
    """One thing that is not there after a splice: who needs it, from which library, and what it is."""

    kind: MissingKind
    what: str
    library: str
    needed_by: str

    def __str__(self) -> str:
        """For people."""
        return f"{self.needed_by} needs the {self.kind} {self.what} of {self.library}"


@dataclass(frozen=True, slots=True)
class Prediction:
    """What is said of one splice. `verdict` is `None` where it is not applicable: nothing is linked."""

    consumer: SpecNode
    replaced: SpecNode
    replacement: SpecNode
    is_transitive: bool
    verdict: SpliceVerdict | None
    reason: str
    confidence: Confidence | None = None
    missing: tuple[MissingPart, ...] = ()
    not_checked: tuple[str, ...] = ()
    objects: int = 0
    """How many files bind to the replaced libraries, by themselves or through others."""
    tools: Mapping[str, str] = field(default_factory=dict)
    """The versions of the programs that were asked."""
    key: str = ""
    """Follows from all that the verdict follows from."""

    @property
    def shown_verdict(self) -> str:
        """For people: `1 (types)`, `-1`, `0`, `not applicable`."""
        if self.verdict is None:
            return "not applicable"
        confidence = f" ({self.confidence})" if self.verdict is SpliceVerdict.WORKS and self.confidence else ""
        return f"{int(self.verdict)}{confidence}"

    def as_value(self) -> dict[str, Any]:
        """A line of `predictions.jsonl`."""
        return {
            "consumer": _spec_value(self.consumer),
            "replaced": _spec_value(self.replaced),
            "replacement": _spec_value(self.replacement),
            "transitive": self.is_transitive,
            "verdict": None if self.verdict is None else int(self.verdict),
            "confidence": str(self.confidence) if self.confidence else None,
            "reason": self.reason,
            "missing": [
                {"kind": str(one.kind), "what": one.what, "library": one.library, "needed_by": one.needed_by}
                for one in self.missing
            ],
            "not_checked": list(self.not_checked),
            "objects": self.objects,
            "tools": dict(self.tools),
            "key": self.key,
        }


def _spec_value(node: SpecNode) -> dict[str, str]:
    return {"name": node.name, "version": node.version, "hash": node.hash}


def prediction_of(value: Mapping[str, Any]) -> Prediction:
    """Read a line of `predictions.jsonl`. Raises `KeyError`, `TypeError` and `ValueError`."""
    verdict = value["verdict"]
    return Prediction(
        _spec_of(value["consumer"]),
        _spec_of(value["replaced"]),
        _spec_of(value["replacement"]),
        bool(value["transitive"]),
        None if verdict is None else SpliceVerdict(verdict),
        str(value["reason"]),
        Confidence(value["confidence"]) if value["confidence"] else None,
        tuple(
            MissingPart(MissingKind(one["kind"]), str(one["what"]), str(one["library"]), str(one["needed_by"]))
            for one in value["missing"]
        ),
        tuple(map(str, value["not_checked"])),
        int(value["objects"]),
        dict(value["tools"]),
        str(value["key"]),
    )


def _spec_of(value: Mapping[str, Any]) -> SpecNode:
    return SpecNode(str(value["hash"]), str(value["name"]), str(value["version"]), is_external=False, dependencies=())
