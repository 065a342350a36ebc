"""What publishing says: tables for people on a terminal, lines in logs, sizes, progress."""

from __future__ import annotations

import io
import logging

import pytest
from rich.console import Console

from job_creator.publishing import report
from job_creator.retention import Placed, Removal
from tests.unit.publishing.records import branch

REMOVALS = (
    Removal(Placed("s3://b/[bold]x.sif", branch("[red]x", size=3 << 30)), "refs/heads/[red]x is gone"),
    Removal(Placed("s3://b/installed/x.sif", branch("x", size=3 << 30), is_marker=True), "gone"),
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


@pytest.mark.parametrize(
    ("size", "shown"), [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (5 << 29, "2.5 GiB"), (3 << 50, "3072.0 TiB")]
)
def test_sizes(size: int, shown: str) -> None:
    assert report.shown_size(size) == shown


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """What is logged, also after a command of another test has set up logging."""
    monkeypatch.setattr(logging.getLogger("job_creator"), "propagate", True)
    caplog.set_level(logging.INFO, "job_creator")
    return caplog


def test_progress_is_a_line_now_and_then_in_a_log(lines: pytest.LogCaptureFixture) -> None:
    with report.progress("uploading x", 2048, quiet=False, seconds=0) as progress:
        progress(1024)
        progress(1024)
    assert lines.messages == ["uploading x: 1.0 KiB of 2.0 KiB", "uploading x: 2.0 KiB of 2.0 KiB"]


def test_nothing_to_move_shows_no_progress(lines: pytest.LogCaptureFixture) -> None:
    with report.progress("uploading x", 0, quiet=False) as progress:
        progress(1)
    assert not lines.messages
