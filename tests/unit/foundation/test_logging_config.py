"""What commands log."""

from __future__ import annotations

import logging

import pytest

from foundation.logging_config import configure


def test_what_stands_under_all_commands_is_logged_as_well(capsys: pytest.CaptureFixture[str]) -> None:
    loggers = [logging.getLogger(name) for name in ("foundation", "job_creator")]
    before = [(one, one.handlers[:], one.level, one.propagate) for one in loggers]
    try:
        configure(0)
        logging.getLogger("foundation.progress").info("uploading x: 1.0 KiB of 2.0 KiB")
    finally:
        for one, handlers, level, propagate in before:
            one.handlers[:], one.propagate = handlers, propagate
            one.setLevel(level)
    assert capsys.readouterr().err == "uploading x: 1.0 KiB of 2.0 KiB\n"
