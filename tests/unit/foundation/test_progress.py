"""Sizes as people read them, and lines about work that takes long."""

from __future__ import annotations

import logging

import pytest

from foundation.progress import counted_progress, transfer_progress
from foundation.shown import shown_size


@pytest.mark.parametrize(
    ("size", "shown"), [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (5 << 29, "2.5 GiB"), (3 << 50, "3072.0 TiB")]
)
def test_sizes(size: int, shown: str) -> None:
    assert shown_size(size) == shown


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """What is logged, also after a command of another test has set up logging."""
    monkeypatch.setattr(logging.getLogger("foundation"), "propagate", True)
    caplog.set_level(logging.INFO, "foundation")
    return caplog


def test_progress_is_a_line_now_and_then_in_a_log(lines: pytest.LogCaptureFixture) -> None:
    with transfer_progress("uploading x", 2048, quiet=False, seconds=0) as advance:
        advance(1024)
        advance(1024)
    assert lines.messages == ["uploading x: 1.0 KiB of 2.0 KiB", "uploading x: 2.0 KiB of 2.0 KiB"]


def test_nothing_to_move_shows_no_progress(lines: pytest.LogCaptureFixture) -> None:
    with transfer_progress("uploading x", 0, quiet=False) as advance:
        advance(1)
    assert not lines.messages


def test_every_counted_thing_has_its_line(lines: pytest.LogCaptureFixture) -> None:
    with counted_progress("fetching", 2, quiet=True) as advance:
        advance(1, "archive of zlib done")
        advance(1, "patch of hdf5 failed: not found")
    assert lines.messages == [
        "fetching 1 of 2: archive of zlib done",
        "fetching 2 of 2: patch of hdf5 failed: not found",
    ]


def test_transfers_say_no_more_than_a_line_now_and_then(lines: pytest.LogCaptureFixture) -> None:
    with transfer_progress("uploading x", 2048, quiet=False, seconds=3600) as advance:
        advance(1024)
    assert not lines.messages
