"""A heat map as one HTML page that needs nothing else: what is under the pointer, a filter, and a table. Pure."""

from __future__ import annotations

import json
from collections import Counter
from html import escape
from typing import Any, Final

from job_creator.studies.splices.report.drawing import svg_of
from job_creator.studies.splices.report.geometry import geometry_of
from job_creator.studies.splices.report.matrix import CellKind, SpliceMatrix
from job_creator.studies.splices.report.page_script import SCRIPT

MOST_ROWS: Final = 2000
"""Of the table; the map has all."""
_STYLE: Final = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1b1f24; --quiet: #57606a; --line: #d0d7de; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #14171b; --ink: #e8ebee; --quiet: #9aa4ae; --line: #363c44; }
}
body { margin: 1.5rem; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.3rem; margin: 0; }
p { margin: .2rem 0 1rem; color: var(--quiet); }
form { display: flex; flex-wrap: wrap; gap: .4rem 1.2rem; margin: 0 0 1rem; align-items: baseline; }
input, select {
  font: inherit; color: inherit; background: var(--paper); border: 1px solid var(--quiet); padding: .1rem .4rem;
}
.map { overflow: auto; max-height: 85vh; border: 1px solid var(--line); background: #fff; }
.map:focus-visible { outline: 3px solid #0969da; }
.map svg { display: block; }
.veil { fill: #fff; opacity: .82; }
.aim { fill: none; stroke: #000; stroke-width: 2; }
#said { min-height: 4.5em; margin: .6rem 0 1.2rem; white-space: pre-wrap; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; }
caption { text-align: left; color: var(--quiet); }
thead th { position: sticky; top: 0; background: var(--paper); }
th, td { padding: .2rem .6rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
tbody th { font-weight: normal; }
td { overflow-wrap: anywhere; }
"""


def page_of(matrix: SpliceMatrix, title: str) -> str:
    """The page, as HTML."""
    counts = Counter(
        matrix.kind(row, column) for row in range(len(matrix.rows)) for column in range(len(matrix.columns))
    )
    summary = ", ".join(f"{counts[kind]:,} {kind}" for kind in CellKind if counts[kind]) or "no splices"
    options = "".join(f"<option>{escape(kind)}</option>" for kind in CellKind)
    policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<title>{escape(title)}</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<h1>{escape(title)}</h1>
<p>{len(matrix.rows):,} binaries, {len(matrix.columns):,} replacements: {escape(summary)}</p>
<form>
<label>binaries with <input id="row" type="search" placeholder="@8."></label>
<label>replacements with <input id="column" type="search" placeholder="zlib@1.3"></label>
<label>verdict <select id="kind"><option value="">any</option>{options}</select></label>
</form>
<div class="map" tabindex="0" role="region" aria-label="Heat map; arrow keys move from cell to cell">
{svg_of(matrix, title)}
</div>
<div id="said" role="status">Point at a cell, or go there with the arrow keys.</div>
{_table(matrix)}
</main>
<script type="application/json" id="data">{_data(matrix)}</script>
<script>{SCRIPT}</script>
</body>
</html>
"""  # noqa: S608 - HTML


def _table(matrix: SpliceMatrix) -> str:
    wanted = [place for place in sorted(matrix.cells) if matrix.cells[place].text]
    # What does not work first, and what is not known.
    wanted.sort(key=lambda place: (matrix.cells[place].verdict != -1, matrix.cells[place].verdict != 0))
    shown = wanted[:MOST_ROWS]
    rows = "\n".join(
        f'<tr data-row="{row}" data-column="{column}"><th scope="row">{escape(matrix.rows[row])}</th>'
        f"<td>{escape(matrix.columns[column])}</td><td>{escape(matrix.kind(row, column))}</td>"
        f"<td>{'<br>'.join(map(escape, matrix.cells[row, column].text.splitlines()))}</td></tr>"
        for row, column in shown
    )
    more = "" if len(shown) == len(wanted) else f", the first {len(shown):,} of them"
    head = "".join(f'<th scope="col">{name}</th>' for name in ("binary", "replacement", "verdict", "because"))
    return f"""<table>
<caption>{len(wanted):,} splices with a reason{more}; what does not work comes first</caption>
<thead><tr>{head}</tr></thead>
<tbody>
{rows}
</tbody>
</table>"""


def _data(matrix: SpliceMatrix) -> str:
    """What the script needs; nothing in it can end the element that it stands in."""
    kinds = list(CellKind)
    texts: dict[str, int] = {}
    said: dict[str, int] = {}
    for (row, column), cell in matrix.cells.items():
        if cell.text:
            said[f"{row},{column}"] = texts.setdefault(cell.text, len(texts))
    geometry = geometry_of(matrix)
    value: dict[str, Any] = {
        "rows": matrix.rows,
        "columns": matrix.columns,
        "kinds": [str(kind) for kind in kinds],
        "cells": [
            "".join(str(kinds.index(matrix.kind(row, column))) for column in range(len(matrix.columns)))
            for row in range(len(matrix.rows))
        ],
        "texts": list(texts),
        "said": said,
        "cell": geometry.cell,
        "left": geometry.left,
        "top": geometry.top,
    }
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")
