"""Tables of results, in which nothing is ever cut off: cells that are too long go on in the next line."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

_GAP: Final = "  "
_LEAST_WIDTH: Final = 20
"""Of the last column, in characters: narrower, a text is harder to read than a line that is too long."""

Cell: TypeAlias = "str | Text"


def new_table(headings: Sequence[str], *, numbers: Sequence[str] = ()) -> Table:
    """An empty table for a terminal; the columns of `numbers` are on the right."""
    from rich.table import Table

    table = Table(header_style="bold", box=None, pad_edge=False)
    for heading in headings:
        table.add_column(heading.upper(), overflow="fold", justify="right" if heading in numbers else "left")
    return table


def print_table(headings: Sequence[str], rows: Sequence[Sequence[Cell]], console: Console) -> None:
    """A table on a terminal, plain text elsewhere.

    In a log, a row is one line, so that it can be searched; its last cell is folded only where the variable COLUMNS
    says how wide the lines may be.
    """
    plain = [[str(cell) for cell in row] for row in rows]
    if not console.is_terminal:
        for line in plain_lines(headings, plain, shutil.get_terminal_size((0, 0)).columns):
            console.print(line, markup=False, highlight=False, soft_wrap=True)
        return
    from rich.text import Text

    table = new_table(headings)
    widths = _widths_before_the_last(headings, plain)
    if sum(widths) + len(_GAP) * len(widths) + _LEAST_WIDTH <= console.width:
        # Only the last column is folded: names stay whole.
        for column, width in zip(table.columns, widths, strict=False):
            column.min_width = width
    for row in rows:
        table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in row))
    console.print(table)


def plain_lines(headings: Sequence[str], rows: Sequence[Sequence[str]], width: int = 0) -> Iterator[str]:
    """The lines of a table in plain text, folded in its last column to be no wider than `width`, if that is given."""
    every = [[heading.upper() for heading in headings], *rows]
    widths = _widths_before_the_last(headings, rows)
    start = sum(widths) + len(_GAP) * len(widths)
    room = max(width - start, _LEAST_WIDTH)
    for *cells, last in every:
        folded = textwrap.wrap(last, room, break_on_hyphens=False) if width else [last]
        padded = (cell.ljust(wide) for cell, wide in zip(cells, widths, strict=True))
        yield _GAP.join((*padded, *folded[:1])).rstrip()
        yield from (" " * start + more for more in folded[1:])


def _widths_before_the_last(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(len, column)) for column in zip(headings, *rows, strict=True)][:-1]
