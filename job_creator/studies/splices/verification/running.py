"""Makes predicted splices one after the other, tries them, and keeps what came of it: `outcomes.jsonl`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

from foundation.doors.files import read_file, write_files
from foundation.errors import naming
from job_creator.studies.binaries import CachedBinary
from job_creator.studies.splices.prediction.verdicts import Prediction
from job_creator.studies.splices.verification.outcomes import Actual, SpliceOutcome, outcome_from, outcome_of
from job_creator.studies.splices.verification.sessions import MadeSplice, SpliceSettings, splicing
from job_creator.studies.splices.verification.trials import Laboratory

FILE: Final = "outcomes.jsonl"


def sampled(predictions: Sequence[Prediction], count: int | None) -> list[Prediction]:
    """So many of them, the same ones each time, in their order; all without a number."""
    if count is None or count >= len(predictions):
        return list(predictions)
    chosen = set(Random(0).sample(range(len(predictions)), count))  # noqa: S311 - a sample, no secret
    return [one for number, one in enumerate(predictions) if number in chosen]


@dataclass(frozen=True)
class VerificationOrder:
    """Where splices are made and where outcomes are kept, what is in the cache, and the commands that are run."""

    workplace: Path
    folder: Path
    binaries: Mapping[str, CachedBinary]
    commands: Sequence[str]


def verify_all(
    settings: SpliceSettings,
    order: VerificationOrder,
    predictions: Sequence[Prediction],
    told: Callable[[SpliceOutcome], None],
) -> list[SpliceOutcome]:
    """Try all splices; outcomes of the same predictions are not found out again unless nothing came of them.

    Raises `NotReadyError` where Spack does not work, and `FileAccessError`.
    """
    path = order.folder / FILE
    known = _known(path, order.commands)
    found: list[SpliceOutcome] = []
    new = [one for one in predictions if one.key not in known]
    laboratory = Laboratory(order.workplace / "home")
    with naming(path):
        laboratory.home.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as lines, _maker(settings, order, new) as make:
            # A line that somebody was killed in has no end.
            lines.write(b"\n")
            for prediction in predictions:
                outcome = known.get(prediction.key)
                if outcome is None:
                    outcome = _tried(laboratory, prediction, make(prediction), order.commands)
                    lines.write(_line(outcome, order.commands))
                    lines.flush()
                found.append(outcome)
                told(outcome)
    write_files(order.folder, {FILE: b"".join(_line(one, order.commands) for one in found)})
    return found


@contextmanager
def _maker(
    settings: SpliceSettings, order: VerificationOrder, new: Sequence[Prediction]
) -> Iterator[Callable[[Prediction], MadeSplice]]:
    """A Spack, unless there is nothing for it to do."""
    if new:
        with splicing(settings, order.workplace, order.binaries, new) as make:
            yield make
    else:
        yield lambda _: MadeSplice(error="was not to be made")


def _tried(laboratory: Laboratory, prediction: Prediction, made: MadeSplice, commands: Sequence[str]) -> SpliceOutcome:
    if made.error:
        return SpliceOutcome(prediction, Actual.UNKNOWN, (f"Spack made no splice: {made.error}",))
    complaints = list(laboratory.loader_complaints(made.rewired or {}))
    trials = list(laboratory.trials(Path(made.prefix), Path(made.original), commands))
    return outcome_of(prediction, complaints, trials)


def _line(outcome: SpliceOutcome, commands: Sequence[str]) -> bytes:
    value = {**outcome.as_value(), "commands": list(commands)}
    return f"{json.dumps(value, sort_keys=True)}\n".encode()


def _known(path: Path, commands: Sequence[str]) -> dict[str, SpliceOutcome]:
    """What is known already, by the keys of predictions; lines that are cut off are passed over."""
    found = {}
    for line in read_file(path).splitlines() if path.exists() else ():
        try:
            value = json.loads(line)
            outcome = outcome_from(value)
            if value["commands"] == list(commands) and outcome.actual is not Actual.UNKNOWN:
                found[outcome.prediction.key] = outcome
        except (ValueError, KeyError, TypeError):
            continue
    return found
