"""What publishing says: tables for people on a terminal, lines in logs."""

from __future__ import annotations

import io

from rich.console import Console

from job_creator.publishing import report
from job_creator.publishing.retention import Placed, SifRemoval
from tests.unit.publishing.records import branch

REMOVALS = (
    SifRemoval(Placed("s3://b/[bold]x.sif", branch("[red]x", size=3 << 30)), "refs/heads/[red]x is gone"),
    SifRemoval(Placed("s3://b/installed/x.sif", branch("x", size=3 << 30), is_marker=True), "gone"),
)


def printed(*, terminal: bool) -> str:
    console = Console(file=io.StringIO(), force_terminal=terminal, width=200, color_system=None)
    report.print_removals(REMOVALS, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_removals_are_lines_in_a_log() -> None:
    assert printed(terminal=False).splitlines() == [
        "remove s3://b/[bold]x.sif (3.0 GiB): refs/heads/[red]x is gone",
        "remove s3://b/installed/x.sif (marker) (0 B): gone",
    ]


def test_removals_are_a_table_on_a_terminal_and_names_are_not_taken_for_markup() -> None:
    lines = printed(terminal=True).splitlines()
    assert lines[0].split() == ["REMOVE", "REF", "SIZE", "WHY"]
    assert "s3://b/[bold]x.sif" in lines[1]
    assert "refs/heads/[red]x is gone" in lines[1]
