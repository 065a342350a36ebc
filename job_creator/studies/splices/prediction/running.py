"""Predicts one splice after the other, and keeps what was said: `predictions.jsonl`, a line for each.

Each line is there before the next splice is looked at, so whoever is killed loses one. What was said of the same files
by the same rules and programs is not looked at again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Final

from foundation.doors.files import read_file, write_files
from foundation.errors import DamagedError, NotThereError, naming
from job_creator.studies.splices.facts.kept import KeptFacts
from job_creator.studies.splices.facts.values import ElfFacts, SpecNode, runtime_nodes
from job_creator.studies.splices.gathering import Gathered, Question
from job_creator.studies.splices.prediction.abigail import Abigail
from job_creator.studies.splices.prediction.comparison import Comparer, Splice
from job_creator.studies.splices.prediction.judgement import PredictionKeys, judged, unknown, with_types
from job_creator.studies.splices.prediction.plan import Dag, SplicePlan, plan
from job_creator.studies.splices.prediction.verdicts import Prediction, SpliceVerdict, prediction_of
from job_creator.studies.splices.prediction.world import Library

FILE: Final = "predictions.jsonl"


def dags_of(gathered: Gathered) -> Mapping[str, Dag]:
    """The DAGs of all binaries that are in the cache, also of those whose archives could not be read."""
    return {hash_: runtime_nodes(one.spec.nodes) for hash_, one in gathered.found.items()}


def make_plan(gathered: Gathered, question: Question, *, is_transitive: bool) -> SplicePlan:
    """The splices that a question is about; what cannot be read is left out with its reason."""
    made = plan(dags_of(gathered), question.of, question.replacing, is_transitive=is_transitive)
    return replace(made, left_out=(*made.left_out, *sorted(gathered.damaged.values())))


class Predictor:
    """Says what it thinks of splices, with what is kept of their files."""

    def __init__(self, gathered: Gathered, kept: KeptFacts, abigail: Abigail | None) -> None:
        @cache
        def facts_of(sha256: str) -> ElfFacts:
            return kept.elf(sha256) or ElfFacts(damage="is not known; run 'jc splices facts' again")

        self._failures = gathered.facts.failures
        self._dags = dags_of(gathered)
        self._library = Library(gathered.facts.binaries, facts_of)
        self._comparer = Comparer(self._library)
        self._abigail = abigail
        tools = {"libabigail": abigail.version} if abigail else {}
        self._keys = PredictionKeys(gathered.facts.binaries, tools)

    def key(self, splice: Splice) -> str:
        """Names all that the verdict follows from."""
        return self._keys.key(splice)

    def predict(self, splice: Splice) -> Prediction:
        """The verdict on a splice. Raises `CouldNotAskError` where a cache gives no answer."""
        nodes = self._nodes(splice)
        for hash_ in (splice.consumer, splice.replaced, splice.replacement):
            if hash_ not in self._library.binaries:
                reason = self._failures.get(hash_, f"{nodes[hash_]} is not in the cache, so its files are not known")
                return replace(unknown(splice, nodes, reason), key=self.key(splice))
        found = self._comparer.compare(splice)
        prediction = judged(splice, nodes, found)
        if self._abigail and prediction.verdict is SpliceVerdict.WORKS:
            linked = sorted(found.linked, key=lambda one: (one.user.path, one.new.path, one.user.binary))
            try:
                prediction = with_types(prediction, self._abigail.ask(self._library, linked))
            except (DamagedError, NotThereError) as error:
                prediction = unknown(splice, nodes, str(error))
        return replace(prediction, key=self.key(splice))

    def _nodes(self, splice: Splice) -> dict[str, SpecNode]:
        consumer, replacement = self._dags[splice.consumer], self._dags[splice.replacement]
        return {**replacement, **consumer}


def predict_all(
    predictor: Predictor, splices: Iterable[Splice], folder: Path, told: Callable[[Prediction, bool], None]
) -> list[Prediction]:
    """Predict all splices, and leave a file with their verdicts, in their order. Raises `FileAccessError`.

    `told` hears of each prediction, and whether it is new.
    """
    path = folder / FILE
    before = read_file(path) if path.exists() else b""
    known = {one.key: (one, line) for line, one in _lines(before)}
    found: list[Prediction] = []
    written: list[bytes] = []
    with naming(path):
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            if not before.endswith(b"\n"):
                file.write(b"\n")  # somebody was killed in a line
            for splice in splices:
                prediction, line = known.get(predictor.key(splice)) or (None, b"")
                is_new = prediction is None
                if prediction is None:
                    prediction = predictor.predict(splice)
                    line = line_of(prediction)
                    file.write(line)
                    file.flush()
                found.append(prediction)
                written.append(line)
                told(prediction, is_new)
    content = b"".join(written)
    if content != before:
        write_files(folder, {FILE: content})
    return found


def line_of(prediction: Prediction) -> bytes:
    """The line of a prediction."""
    return f"{json.dumps(prediction.as_value(), sort_keys=True)}\n".encode()


def _lines(content: bytes) -> Iterator[tuple[bytes, Prediction]]:
    """The lines of a file with what they say; those that are cut off are passed over."""
    for line in content.splitlines(keepends=True):
        try:
            yield line, prediction_of(json.loads(line))
        except (ValueError, KeyError, TypeError):
            continue
