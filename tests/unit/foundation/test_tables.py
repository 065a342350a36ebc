"""Tables: nothing in them is cut off, whatever the width."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.text import Text

from foundation.tables import plain_lines, print_table

HEADINGS = ("what", "name", "why")
NAME = "a-container-with-a-rather-long-name"
REASON = "no registry is configured, so nothing counts as published, and this goes on for longer than a line has room"
ROWS = [("container", NAME, REASON), ("container", "[red]b", "short")]


def printed(*, terminal: bool, width: int) -> list[str]:
    console = Console(file=io.StringIO(), force_terminal=terminal, width=width, color_system=None)
    print_table(HEADINGS, ROWS, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize("width", [200, 80])
def test_a_cell_that_is_too_long_goes_on_in_the_next_line_of_a_terminal(width: int) -> None:
    lines = printed(terminal=True, width=width)
    assert all(len(line) <= width for line in lines)
    assert "…" not in "".join(lines)
    assert lines[1].split()[:2] == ["container", NAME]
    start = lines[0].index("WHY")
    assert " ".join(line[start:].strip() for line in lines[1:-1]) == REASON
    assert lines[-1].split() == ["container", "[red]b", "short"]


@pytest.mark.parametrize("width", [40, 25])
def test_names_are_folded_rather_than_cut_where_there_is_no_room_at_all(width: int) -> None:
    lines = printed(terminal=True, width=width)
    assert "…" not in "".join(lines)
    start, end = lines[0].index("NAME"), lines[0].index("WHY")
    assert "".join(line[start:end].strip() for line in lines[1:]).startswith(NAME)


def test_a_row_is_a_line_of_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    assert printed(terminal=False, width=80)[1] == f"container  {NAME}  {REASON}"


def test_a_log_is_folded_where_somebody_says_how_wide_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = printed(terminal=False, width=1000)
    assert all(len(line) <= 80 for line in lines)
    assert lines[1].split()[:2] == ["container", NAME]
    start = lines[0].index("WHY")
    assert " ".join(line[start:] for line in lines[1:-1]) == REASON
    assert {line[:start].strip() for line in lines[2:-1]} == {""}


def test_plain_tables_without_rows_and_with_empty_cells() -> None:
    assert list(plain_lines(HEADINGS, [])) == ["WHAT  NAME  WHY"]
    assert list(plain_lines(HEADINGS, [("a", "", "")], 80)) == ["WHAT  NAME  WHY", "a"]


def test_styles_of_cells_are_for_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    console = Console(file=io.StringIO(), force_terminal=True, width=80, color_system="standard")
    print_table(("what",), [(Text("x", style="red"),)], console)
    assert isinstance(console.file, io.StringIO)
    assert "\x1b[31mx" in console.file.getvalue()
