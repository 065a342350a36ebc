"""What became of splices, held against what was predicted of them. Pure."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from job_creator.studies.splices.facts.values import SpecNode
from job_creator.studies.splices.prediction.verdicts import Prediction, SpliceVerdict, prediction_of

_LOADER: Final = re.compile(
    r"(symbol lookup error|error while loading shared libraries|undefined symbol|version [`'].*' not found"
    r"|Inconsistency detected by ld\.so|=> not found|wrong ELF class|cannot open shared object file).*"
)
_ADDRESS: Final = re.compile(r"\(0x[0-9a-f]+\)")


class Actual(StrEnum):
    """What really happened."""

    WORKS = "works"
    FAILS = "fails"
    UNKNOWN = "not known"


@dataclass(frozen=True, slots=True)
class Trial:
    """A command that was run with the original and with the splice, and its exit codes (negative: a signal)."""

    command: str
    before: int
    after: int
    said: str = ""
    """What the loader, or else the program, said with the splice."""

    @property
    def actual(self) -> Actual:
        """Whether the splice does what the original does."""
        if self.before != self.after:
            # A program that does not run as it was built proves nothing.
            return Actual.FAILS if self.before == 0 or _LOADER.search(self.said) else Actual.UNKNOWN
        return Actual.WORKS if self.before == 0 else Actual.UNKNOWN


@dataclass(frozen=True, slots=True)
class SpliceOutcome:
    """What became of one splice."""

    prediction: Prediction
    actual: Actual
    evidence: tuple[str, ...]

    @property
    def is_false(self) -> bool:
        """Whether the prediction says the opposite."""
        if self.actual is Actual.WORKS:
            return self.prediction.verdict is SpliceVerdict.FAILS
        return self.actual is Actual.FAILS and self.prediction.verdict in (SpliceVerdict.WORKS, None)

    def as_value(self) -> dict[str, Any]:
        """A line of `outcomes.jsonl`."""
        return {
            "prediction": self.prediction.as_value(),
            "actual": str(self.actual),
            "agrees": not self.is_false,
            "evidence": list(self.evidence),
        }


def outcome_from(value: Mapping[str, Any]) -> SpliceOutcome:
    """Read a line of `outcomes.jsonl`. Raises `KeyError`, `TypeError` and `ValueError`."""
    return SpliceOutcome(
        prediction_of(value["prediction"]), Actual(value["actual"]), tuple(map(str, value["evidence"]))
    )


def outcome_of(prediction: Prediction, loader: Iterable[str], trials: Sequence[Trial]) -> SpliceOutcome:
    """From what the loader complains of that it did not complain of before, and from commands that were run."""
    complaints = tuple(loader)
    failed = tuple(f"{one.command}: exit code {one.after}, not {one.before}; {one.said}" for one in trials_that(trials))
    if complaints or failed:
        return SpliceOutcome(prediction, Actual.FAILS, (*complaints, *failed))
    worked = tuple(one.command for one in trials if one.actual is Actual.WORKS)
    if worked:
        return SpliceOutcome(prediction, Actual.WORKS, tuple(f"runs: {command}" for command in worked))
    reason = "the loader finds everything; no command ran as it was built" if trials else "there is nothing to run"
    return SpliceOutcome(prediction, Actual.UNKNOWN, (reason,))


def trials_that(trials: Iterable[Trial]) -> Iterator[Trial]:
    """Those that failed with the splice alone."""
    return (one for one in trials if one.actual is Actual.FAILS)


def complaints(before: str, after: str) -> tuple[str, ...]:
    """What the loader says after a splice that it did not say before, of what it does not find."""
    known = {_ADDRESS.sub("", line).strip() for line in before.splitlines()}
    found = []
    for line in after.splitlines():
        plain = _ADDRESS.sub("", line).strip()
        if plain not in known and (match := _LOADER.search(plain)):
            found.append(plain if len(plain) < 300 else match[0])
    return tuple(dict.fromkeys(found))


def confusion(outcomes: Iterable[SpliceOutcome]) -> dict[tuple[str, Actual], int]:
    """How often each verdict met each outcome."""
    return dict(Counter((one.prediction.shown_verdict, one.actual) for one in outcomes))


@dataclass(frozen=True, slots=True)
class Proposal:
    """A directive for the recipe of a replacement, and the binaries that it was tried with."""

    recipe: str
    directive: str
    evidence: tuple[str, ...]


def proposals(outcomes: Iterable[SpliceOutcome]) -> list[Proposal]:
    """`can_splice` for each pair of versions that worked with every binary it was tried with, and failed with none.

    A binary that was predicted to fail, or that nobody could run, is no evidence for it.
    """
    found: dict[tuple[str, str, str, str], list[SpliceOutcome]] = defaultdict(list)
    for one in outcomes:
        replaced, replacement = one.prediction.replaced, one.prediction.replacement
        found[replacement.name, replacement.version, replaced.name, replaced.version].append(one)
    made = []
    for (name, version, old_name, old_version), some in sorted(found.items()):
        good = [one for one in some if one.actual is Actual.WORKS and one.prediction.verdict is SpliceVerdict.WORKS]
        if good and len(good) == len(some):
            directive = f'can_splice("{old_name}@={old_version}", when="@={version}")'
            made.append(Proposal(name, directive, tuple(_evidence(one.prediction.consumer, one) for one in good)))
    return made


def _evidence(consumer: SpecNode, outcome: SpliceOutcome) -> str:
    return f"{consumer}: predicted {outcome.prediction.shown_verdict}, {'; '.join(outcome.evidence)}"
