"""The page of a heat map in a real browser: nothing is in anybody's way, and what it shows is right."""

from __future__ import annotations

from pathlib import Path

import pytest

from job_creator.studies.splices.prediction.verdicts import Confidence, SpliceVerdict
from job_creator.studies.splices.report.geometry import geometry_of
from job_creator.studies.splices.report.matrix import Cell, SpliceMatrix
from job_creator.studies.splices.report.page import page_of
from tests.integration.browser import in_the_way, seen_by_browser

pytestmark = pytest.mark.usefixtures("components")

KINDS = (
    None,
    Cell(SpliceVerdict.UNKNOWN, None, "cannot be read"),
    Cell(SpliceVerdict.FAILS, None, "greet_old of libgreet.so.1 is gone"),
    Cell(SpliceVerdict.WORKS, Confidence.SYMBOLS, "every symbol is there"),
    Cell(SpliceVerdict.WORKS, Confidence.TYPES, "and all types"),
)


def matrix(rows: int, columns: int) -> SpliceMatrix:
    places = ((row, column) for row in range(rows) for column in range(columns))
    cells = {place: cell for place in places if (cell := KINDS[(place[0] + 2 * place[1]) % len(KINDS)])}
    names = tuple(f"curl@8.{number}.0/abcdefg" for number in range(rows))
    return SpliceMatrix(names, tuple(f"zlib@1.{number}/abcdefg" for number in range(columns)), cells)


@pytest.mark.parametrize("shape", [(3, 4), (5, 300)], ids=str)
def test_nothing_is_in_anybodys_way(shape: tuple[int, int], tmp_path: Path) -> None:
    assert in_the_way(page_of(matrix(*shape), "Splices"), tmp_path) == []


def test_pointer_keys_and_filter_show_what_there_is(tmp_path: Path) -> None:
    made = matrix(3, 4)
    x, y = geometry_of(made).place(1, 3)
    script = f"""
const texts = [];
const box = svg.getBoundingClientRect();
svg.dispatchEvent(new MouseEvent("mousemove", {{clientX: box.left + {x} + 3, clientY: box.top + {y} + 3}}));
texts.push(said.textContent);
map.dispatchEvent(new KeyboardEvent("keydown", {{key: "ArrowUp"}}));
texts.push(said.textContent);
map.dispatchEvent(new KeyboardEvent("keydown", {{key: "ArrowUp"}}));
texts.push(said.textContent);
const visible = () => [...document.querySelectorAll("tbody tr")].filter(one => !one.hidden).length;
const counts = [visible()];
const settings = [["row", "8.1"], ["column", "zlib@1.2"], ["kind", "does not work"], ["row", ""], ["column", ""]];
for (const [id, value] of settings) {{
  document.getElementById(id).value = value;
  document.getElementById(id).dispatchEvent(new Event("input"));
  counts.push(visible());
}}
done({{texts, counts, veil: document.querySelector(".veil").getAttribute("d").length > 0}});
"""
    found = seen_by_browser(page_of(made, "Splices"), script, tmp_path)
    assert found["texts"] == [
        f"curl@8.1.0/abcdefg with zlib@1.3/abcdefg: {made.kind(1, 3)}\n{made.cells[1, 3].text}",
        f"curl@8.0.0/abcdefg with zlib@1.3/abcdefg: {made.kind(0, 3)}\n{made.cells[0, 3].text}",
        # There is nothing above.
        f"curl@8.0.0/abcdefg with zlib@1.3/abcdefg: {made.kind(0, 3)}\n{made.cells[0, 3].text}",
    ]
    failing = {place for place, cell in made.cells.items() if cell.verdict == SpliceVerdict.FAILS}
    assert found["counts"] == [
        len(made.cells),
        sum(row == 1 for row, _ in made.cells),
        (1, 2) in made.cells,
        (1, 2) in failing,
        sum(column == 2 for _, column in failing),
        len(failing),
    ]
    assert found["veil"]
