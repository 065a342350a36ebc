"""Reads what a report is made of: predictions of `jc splices predict`, a matrix, or what symbolator left. Pure."""

from __future__ import annotations

import json

from foundation.errors import Fault, InvalidInputError
from job_creator.studies.splices.prediction.verdicts import Prediction, prediction_of
from job_creator.studies.splices.report.matrix import (
    SpliceMatrix,
    matrix_from_csv,
    matrix_from_symbolator,
    matrix_of,
)


def read_matrix(content: bytes, path: str) -> tuple[SpliceMatrix, tuple[Prediction, ...]]:
    """A matrix, and the predictions that it is made of where the file has them. Raises `InvalidInputError`."""
    text = content.decode("utf-8", "replace")
    if not text.lstrip().startswith("{"):
        return matrix_from_csv(text, path), ()
    try:
        whole = json.loads(text)
    except ValueError:
        predictions = read_lines(text, path)
        return matrix_of(predictions), predictions
    if "consumer" in whole:
        predictions = read_lines(text, path)
        return matrix_of(predictions), predictions
    return matrix_from_symbolator(whole, path), ()


def read_lines(text: str, path: str) -> tuple[Prediction, ...]:
    """The predictions in a `predictions.jsonl`; a last line that is cut off is passed over.

    Raises `InvalidInputError`.
    """
    lines = text.splitlines()
    found = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            found.append(prediction_of(json.loads(line)))
        except (ValueError, KeyError, TypeError):
            if number == len(lines) and not text.endswith("\n"):
                break
            raise InvalidInputError([Fault(path, number, 1, "no prediction of 'jc splices predict'")]) from None
    return tuple(found)
