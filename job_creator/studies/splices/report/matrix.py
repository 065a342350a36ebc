"""A matrix of verdicts: a row for each binary, a column for each replacement. Pure.

The CSV has 1, 0 and -1 as those of spack-monitor-analysis have them, and nothing where a splice is not applicable.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from foundation.errors import Fault, InvalidInputError
from job_creator.studies.splices.facts.values import SpecNode
from job_creator.studies.splices.prediction.plan import order
from job_creator.studies.splices.prediction.verdicts import Confidence, Prediction, SpliceVerdict


class CellKind(StrEnum):
    """What a cell shows."""

    TYPES = "works, types compared"
    SYMBOLS = "works by its symbols"
    FAILS = "does not work"
    UNKNOWN = "not known"
    NOTHING = "not applicable"


@dataclass(frozen=True, slots=True)
class Cell:
    """A verdict, and what there is to say of it."""

    verdict: SpliceVerdict
    confidence: Confidence | None = None
    text: str = ""

    @property
    def kind(self) -> CellKind:
        """What is shown of it."""
        if self.verdict is SpliceVerdict.WORKS:
            return CellKind.TYPES if self.confidence is Confidence.TYPES else CellKind.SYMBOLS
        return CellKind.FAILS if self.verdict is SpliceVerdict.FAILS else CellKind.UNKNOWN


@dataclass(frozen=True)
class SpliceMatrix:
    """Cells by the numbers of row and column; splices that are not applicable have none."""

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: Mapping[tuple[int, int], Cell]

    def kind(self, row: int, column: int) -> CellKind:
        """What is shown at a place."""
        cell = self.cells.get((row, column))
        return cell.kind if cell else CellKind.NOTHING


_Entry = tuple[str, str, Cell | None]


def matrix_of(predictions: Iterable[Prediction]) -> SpliceMatrix:
    """Rows and columns by name and version."""
    found = list(predictions)
    rows = _labels(one.consumer for one in found)
    columns = _labels(one.replacement for one in found)
    entries = ((str(one.consumer), str(one.replacement), _cell(one)) for one in found)
    return _matrix(rows, columns, entries)


def _labels(nodes: Iterable[SpecNode]) -> tuple[str, ...]:
    unique = {node.hash: node for node in nodes}
    return tuple(str(node) for node in sorted(unique.values(), key=order))


def _cell(prediction: Prediction) -> Cell | None:
    if prediction.verdict is None:
        return None
    text = "\n".join((f"for {prediction.replaced}: {prediction.reason}", *map(str, prediction.missing)))
    return Cell(prediction.verdict, prediction.confidence, text)


def _matrix(rows: tuple[str, ...], columns: tuple[str, ...], entries: Iterable[_Entry]) -> SpliceMatrix:
    """Where there is more than one verdict for a place, all have to be good."""
    row_numbers = {name: number for number, name in enumerate(rows)}
    column_numbers = {name: number for number, name in enumerate(columns)}
    cells: dict[tuple[int, int], Cell] = {}
    for row, column, cell in entries:
        place = row_numbers[row], column_numbers[column]
        if cell:
            cells[place] = _worse(cells[place], cell) if place in cells else cell
    return SpliceMatrix(rows, columns, cells)


def _worse(one: Cell, other: Cell) -> Cell:
    first, second = sorted((one, other), key=lambda cell: (cell.verdict, cell.confidence is Confidence.TYPES))
    text = "\n".join(dict.fromkeys(filter(None, (first.text, second.text))))
    return Cell(first.verdict, first.confidence, text)


def csv_of(matrix: SpliceMatrix) -> str:
    """The matrix as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["", *matrix.columns])
    for row, name in enumerate(matrix.rows):
        cells = (matrix.cells.get((row, column)) for column in range(len(matrix.columns)))
        writer.writerow([name, *("" if cell is None else int(cell.verdict) for cell in cells)])
    return text.getvalue()


def matrix_from_csv(text: str, path: str) -> SpliceMatrix:
    """Read a matrix, in its own order. Raises `InvalidInputError`."""
    lines = list(csv.reader(io.StringIO(text)))
    if not lines or len(lines[0]) < 2:
        raise _fault(path, 1, "no matrix: its first line names no columns")
    columns = tuple(lines[0][1:])
    cells: dict[tuple[int, int], Cell] = {}
    for number, line in enumerate(lines[1:]):
        if len(line) != len(lines[0]):
            raise _fault(path, number + 2, f"has {len(line)} cells, not {len(lines[0])} as the first line")
        for column, value in enumerate(line[1:]):
            if value:
                cells[number, column] = Cell(_verdict(value, path, number + 2))
    return SpliceMatrix(tuple(line[0] for line in lines[1:]), columns, cells)


def _verdict(value: str, path: str, line: int) -> SpliceVerdict:
    try:
        return SpliceVerdict(int(float(value)))
    except ValueError:
        raise _fault(path, line, f"{value!r} is no verdict; it is 1, 0, -1 or nothing") from None


def matrix_from_symbolator(value: Mapping[str, object], path: str) -> SpliceMatrix:
    """Read a `symbolator-predictions.json`: by binary, a list with `specB`, `prediction` and `missing` of each splice.

    What was not tried is not known, as in the matrices of spack-monitor-analysis. Raises `InvalidInputError`.
    """
    try:
        entries = list(_symbolator_entries(value))
    except (KeyError, TypeError, AttributeError) as error:
        raise _fault(path, 1, f"no predictions of symbolator ({error})") from None
    rows = tuple(sorted(value, key=_by_numbers))
    columns = tuple(sorted({column for _, column, _ in entries}, key=_by_numbers))
    found = _matrix(rows, columns, entries)
    places = ((row, column) for row in range(len(rows)) for column in range(len(columns)))
    unknown = Cell(SpliceVerdict.UNKNOWN, None, "was not tried")
    return SpliceMatrix(rows, columns, {place: found.cells.get(place, unknown) for place in places})


def _symbolator_entries(value: Mapping[str, object]) -> Iterator[tuple[str, str, Cell]]:
    for row, results in value.items():
        if not isinstance(results, list):
            raise TypeError(f"{row} has no list")
        for one in results:
            verdict = SpliceVerdict.WORKS if one["prediction"] else SpliceVerdict.FAILS
            missing = one.get("missing") or ()
            names = missing if isinstance(missing, list) else [missing]
            text = "\n".join(f"missing: {name}" for name in names)
            yield row, str(one["specB"]), Cell(verdict, Confidence.SYMBOLS, text)


def _by_numbers(label: str) -> list[tuple[int, int, str]]:
    parts = re.split(r"(\d+)", label)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part]


def _fault(path: str, line: int, message: str) -> InvalidInputError:
    return InvalidInputError([Fault(path, line, 1, message)])
