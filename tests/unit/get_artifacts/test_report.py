"""What people see on a terminal and in the log of a job."""

from __future__ import annotations

import io
import logging
from pathlib import Path

import pytest
from rich.console import Console

from get_artifacts.archives import Unpacked
from get_artifacts.download import Arrival
from get_artifacts.family import FinishedJob, PipelineId
from get_artifacts.report import print_arrivals, progress
from get_artifacts.selection import Archive

ITEM = Archive(FinishedJob(5, "job [a]", "success", PipelineId(1, 2), 1_000_000), "folder", None, ("**",), None)
ARRIVAL = Arrival(ITEM, Path("folder"), (Unpacked("x", 1, 1, 0),), is_new=True)


def console(*, terminal: bool) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=100)


def printed(where: Console) -> str:
    assert isinstance(where.file, io.StringIO)
    return where.file.getvalue()


def test_a_bar_on_a_terminal() -> None:
    terminal = console(terminal=True)
    with progress(terminal, 1_000_000) as display:
        display.begin(ITEM)
        display.advance(1_000_000)
    assert "1.0/1.0 MB" in printed(terminal)


def test_a_line_in_a_log() -> None:
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("get_artifacts.report")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    log = console(terminal=False)
    try:
        with progress(log, 1_000_000) as display:
            display.begin(ITEM)
            display.advance(1_000_000)
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)
    assert lines == ["fetching 1,000,000 bytes from job 'job [a]'"]
    assert printed(log) == ""


def test_a_table_on_a_terminal_and_lines_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    terminal = console(terminal=True)
    print_arrivals([ARRIVAL], terminal)
    assert "WHAT" in printed(terminal)
    assert "job [a] (success)" in printed(terminal)
    print_arrivals([ARRIVAL], console(terminal=False))
    assert capsys.readouterr().out == "folder: 1 files of job 'job [a]' (success) of pipeline 2\n"
