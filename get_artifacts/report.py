"""What `ga` prints: progress, results as lines or a table, and JSON."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from get_artifacts.download import Arrival, Display
from get_artifacts.selection import Archive

if TYPE_CHECKING:
    from rich.console import Console

logger = logging.getLogger(__name__)


class _Announcements:
    """For the logs of jobs."""

    def begin(self, item: Archive) -> None:
        logger.info("fetching %s bytes from job %r", f"{item.job.archive_bytes:,}", item.job.name)

    def advance(self, count: int) -> None:
        """Say nothing; another line would only be noise."""


@contextmanager
def progress(console: Console | None, total: int) -> Iterator[Display]:
    """A bar on a terminal, that counts `total` bytes and is gone at the end; a line for each artifact without one."""
    if console is None or not console.is_terminal:
        yield _Announcements()
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bars:
        task = bars.add_task("", total=total)

        class Bar:
            def begin(self, item: Archive) -> None:
                """The bar is about all of them."""

            def advance(self, count: int) -> None:
                bars.advance(task, count)

        yield Bar()


def print_arrivals(arrivals: Sequence[Arrival], console: Console | None) -> None:
    """A table on a terminal, lines without one."""
    if console is None or not console.is_terminal:
        for arrival in arrivals:
            job = arrival.item.job
            what = f"{len(arrival.files)} files" if arrival.files else "an archive"
            origin = f"job {job.name!r} ({job.status}) of pipeline {job.pipeline.pipeline}"
            click.echo(f"{arrival.path}: {what} of {origin}{'' if arrival.is_new else ', there already'}")
        return
    from rich.markup import escape

    from foundation.tables import new_table

    table = new_table(("what", "files", "bytes", "from", "job"), numbers=("files", "bytes"))
    for arrival in arrivals:
        job = arrival.item.job
        table.add_row(
            escape(str(arrival.path)),
            str(len(arrival.files)) if arrival.files else "-",
            f"{job.archive_bytes:,}",
            f"pipeline {job.pipeline.pipeline}" if arrival.is_new else "an earlier run",
            escape(f"{job.name} ({job.status})"),
        )
    console.print(table)


def as_json(parent: int, arrivals: Sequence[Arrival], problems: Sequence[str]) -> str:
    """What was fetched, and what went wrong, for programs."""
    return json.dumps(
        {"parent_pipeline": parent, "artifacts": list(map(_value, arrivals)), "problems": list(problems)}, indent=2
    )


def _value(arrival: Arrival) -> dict[str, Any]:
    job = arrival.item.job
    return {
        "path": str(arrival.path),
        "architecture": arrival.item.architecture,
        "files": [file.name for file in arrival.files],
        "is_new": arrival.is_new,
        "bytes": job.archive_bytes,
        "job": {"id": job.id, "name": job.name, "status": job.status},
        "pipeline": job.pipeline.pipeline,
        "project": job.pipeline.project,
    }
