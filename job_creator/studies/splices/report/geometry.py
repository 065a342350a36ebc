"""Where everything is in a heat map, in pixels: the same for all formats. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from job_creator.studies.splices.report.matrix import CellKind, SpliceMatrix

GRID_FROM: Final = 6
"""Pixels that a cell has to have at least for lines between cells."""
MARKS_FROM: Final = 16
"""The same for signs in cells, which tell what colours tell."""
FONT: Final = 11
LETTER: Final = 0.62 * FONT
"""The width of a letter of a monospaced font."""
_LINE: Final = 14
_LONGEST: Final = 42
_GAP: Final = 8
_LARGEST_CELL: Final = 24
_SMALLEST_CELL: Final = 4
_WISHED: Final = 1600

COLOURS: Final[Mapping[CellKind, str]] = {
    CellKind.TYPES: "#0b4f8a",
    CellKind.SYMBOLS: "#7fbce9",
    CellKind.FAILS: "#d55e00",
    CellKind.UNKNOWN: "#a3a3a3",
    CellKind.NOTHING: "#f1f1f1",
}
"""Told apart by how light they are, too, so by everyone and on paper."""
INK: Final[Mapping[CellKind, str]] = {
    CellKind.TYPES: "#ffffff",
    CellKind.SYMBOLS: "#000000",
    CellKind.FAILS: "#000000",
    CellKind.UNKNOWN: "#000000",
    CellKind.NOTHING: "#000000",
}
MARKS: Final[Mapping[CellKind, str]] = {
    CellKind.TYPES: "+",
    CellKind.SYMBOLS: "~",
    CellKind.FAILS: "x",
    CellKind.UNKNOWN: "?",
    CellKind.NOTHING: "",
}


@dataclass(frozen=True)
class MapGeometry:
    """The plan of a heat map; the origin is the upper left corner."""

    rows: int
    columns: int
    cell: int
    """The side of a cell."""
    left: int
    top: int
    """Where the first cell begins."""
    width: int
    height: int
    legend_top: int

    @property
    def has_grid(self) -> bool:
        """Whether there is a line of one pixel between cells."""
        return self.cell >= GRID_FROM

    @property
    def has_marks(self) -> bool:
        """Whether cells have signs."""
        return self.cell >= MARKS_FROM

    @property
    def label_step(self) -> int:
        """Each so many rows or columns have a label, so that labels do not touch."""
        return -(-_LINE // self.cell)

    def place(self, row: int, column: int) -> tuple[int, int]:
        """The upper left corner of a cell."""
        return self.left + column * self.cell, self.top + row * self.cell

    def legend(self) -> Iterator[tuple[CellKind, int, int]]:
        """Where the entries of the legend begin."""
        for number, kind in enumerate(CellKind):
            yield kind, _GAP, self.legend_top + number * (_LINE + 4)


def geometry_of(matrix: SpliceMatrix) -> MapGeometry:
    """A map for a matrix of any size."""
    rows, columns = len(matrix.rows), len(matrix.columns)
    most = max(rows, columns, 1)
    cell = min(_LARGEST_CELL, max(_SMALLEST_CELL, _WISHED // most))
    left = _GAP * 2 + _text_width(matrix.rows)
    top = _GAP * 2 + _text_width(matrix.columns)
    legend_top = top + rows * cell + 2 * _GAP
    legend = _text_width(tuple(CellKind)) + 4 * _GAP + _LINE
    width = max(left + columns * cell + 2 * _GAP, legend)
    height = legend_top + len(CellKind) * (_LINE + 4) + _GAP
    return MapGeometry(rows, columns, cell, left, top, width, height, legend_top)


def label(text: str) -> str:
    """A label of at most so many letters as there is room for: its beginning, and the end of its hash."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 9]}…{text[-8:]}"


def _text_width(texts: tuple[str, ...]) -> int:
    return int(max((len(label(text)) for text in texts), default=0) * LETTER) + 1
