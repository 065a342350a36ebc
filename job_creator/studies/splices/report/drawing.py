"""A heat map as SVG. Pure."""

from __future__ import annotations

from collections import defaultdict
from html import escape
from itertools import groupby
from typing import Final

from job_creator.studies.splices.report.geometry import (
    COLOURS,
    FONT,
    INK,
    MARKS,
    MapGeometry,
    geometry_of,
    label,
)
from job_creator.studies.splices.report.matrix import CellKind, SpliceMatrix

_LEGEND_SIDE: Final = 14


def svg_of(matrix: SpliceMatrix, title: str) -> str:
    """The whole picture. Cells of one kind are one path, so that large maps stay small."""
    geometry = geometry_of(matrix)
    text = escape(title)
    size = f'width="{geometry.width}" height="{geometry.height}"'
    box = f'viewBox="0 0 {geometry.width} {geometry.height}" role="img" aria-label="{text}"'
    font = f'font-family="DejaVu Sans Mono, ui-monospace, monospace" font-size="{FONT}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} {box} {font}>',
        f"<title>{text}</title>",
        f'<rect {size} fill="#ffffff"/>',
        *_cells(matrix, geometry),
        *(_marks(matrix, geometry) if geometry.has_marks else ()),
        *_row_labels(matrix, geometry),
        *_column_labels(matrix, geometry),
        *_legend(geometry),
        "</svg>",
    ]
    return "\n".join(parts)


def _cells(matrix: SpliceMatrix, geometry: MapGeometry) -> list[str]:
    paths: dict[CellKind, list[str]] = defaultdict(list)
    side = geometry.cell - geometry.has_grid
    for row in range(geometry.rows):
        kinds = [matrix.kind(row, column) for column in range(geometry.columns)]
        squares = [(kind, column, 1) for column, kind in enumerate(kinds)]
        runs = squares if geometry.has_grid else _runs(kinds)
        for kind, column, count in runs:
            x, y = geometry.place(row, column)
            width = side if geometry.has_grid else geometry.cell * count
            paths[kind].append(f"M{x} {y}h{width}v{side}h-{width}z")
    return [f'<path fill="{COLOURS[kind]}" d="{"".join(paths[kind])}"/>' for kind in CellKind if kind in paths]


def _runs(kinds: list[CellKind]) -> list[tuple[CellKind, int, int]]:
    found, column = [], 0
    for kind, group in groupby(kinds):
        count = len(list(group))
        found.append((kind, column, count))
        column += count
    return found


def _marks(matrix: SpliceMatrix, geometry: MapGeometry) -> list[str]:
    found = []
    for row, column in sorted(matrix.cells):
        kind = matrix.kind(row, column)
        x, y = geometry.place(row, column)
        middle = geometry.cell / 2
        found.append(
            f'<text x="{x + middle:g}" y="{y + middle + FONT / 3:.1f}" text-anchor="middle" fill="{INK[kind]}">'
            f"{MARKS[kind]}</text>"
        )
    return found


def _row_labels(matrix: SpliceMatrix, geometry: MapGeometry) -> list[str]:
    found = []
    for row in range(0, geometry.rows, geometry.label_step):
        x, y = geometry.place(row, 0)
        place = f'x="{x - 8}" y="{y + geometry.cell / 2 + FONT / 3:.1f}"'
        found.append(f'<text {place} text-anchor="end">{escape(label(matrix.rows[row]))}</text>')
    return found


def _column_labels(matrix: SpliceMatrix, geometry: MapGeometry) -> list[str]:
    found = []
    for column in range(0, geometry.columns, geometry.label_step):
        x, y = geometry.place(0, column)
        middle = f"{x + geometry.cell / 2 + FONT / 3:.1f}"
        turned = f'transform="rotate(-90 {middle} {y - 8})"'
        found.append(f'<text x="{middle}" y="{y - 8}" {turned}>{escape(label(matrix.columns[column]))}</text>')
    return found


def _legend(geometry: MapGeometry) -> list[str]:
    found = []
    for kind, x, y in geometry.legend():
        found.append(f'<rect x="{x}" y="{y}" width="{_LEGEND_SIDE}" height="{_LEGEND_SIDE}" fill="{COLOURS[kind]}"/>')
        mark = f'<text x="{x + 7}" y="{y + 11}" text-anchor="middle" fill="{INK[kind]}">{MARKS[kind]}</text>'
        found.append(f'{mark}<text x="{x + _LEGEND_SIDE + 8}" y="{y + 11}">{kind}</text>')
    return found
