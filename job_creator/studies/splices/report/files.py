"""What a report can be written as. Pure."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

from foundation.errors import Fault, InvalidInputError
from job_creator.studies.splices.prediction.verdicts import Prediction
from job_creator.studies.splices.report.drawing import svg_of
from job_creator.studies.splices.report.matrix import CellKind, SpliceMatrix, csv_of
from job_creator.studies.splices.report.page import page_of


@dataclass(frozen=True)
class Report:
    """A matrix, the predictions that it is made of as far as they are known, and its title (or none)."""

    matrix: SpliceMatrix
    predictions: tuple[Prediction, ...]
    given_title: str = ""

    @property
    def title(self) -> str:
        """What the pictures are called."""
        names = (_names(self.matrix.rows), _names(self.matrix.columns))
        return self.given_title or f"Splices into {names[0]}: {names[1]}"

    def content(self, form: str) -> bytes:
        """A file: `jsonl`, `csv`, `html`, `svg`, `png` or `pdf`. Raises `InvalidInputError` for `jsonl` of a matrix."""
        if form == "jsonl":
            if not self.predictions and self.matrix.cells:
                fault = Fault("--jsonl", 1, 1, "a matrix does not say what predictions say; give a predictions.jsonl")
                raise InvalidInputError([fault])
            return "".join(f"{json.dumps(one.as_value(), sort_keys=True)}\n" for one in self.predictions).encode()
        if form == "csv":
            return csv_of(self.matrix).encode()
        if form == "html":
            return page_of(self.matrix, self.title).encode()
        if form == "svg":
            return f"{svg_of(self.matrix, self.title)}\n".encode()
        from job_creator.studies.splices.report.pictures import pdf_of, png_of

        return (png_of if form == "png" else pdf_of)(self.matrix, self.title)


def summary_of(matrix: SpliceMatrix) -> dict[str, Any]:
    """Counts, for machines."""
    rows, columns = len(matrix.rows), len(matrix.columns)
    counts = Counter(matrix.kind(row, column) for row in range(rows) for column in range(columns))
    return {"binaries": rows, "replacements": columns, "cells": {str(kind): counts[kind] for kind in CellKind}}


def _names(labels: tuple[str, ...]) -> str:
    return ", ".join(sorted({one.partition("@")[0] for one in labels})) or "nothing"
