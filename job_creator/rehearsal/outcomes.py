"""What came of the pipelines of a rehearsal, as values and as files that several processes write and read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from foundation.doors.files import read_file, write_files
from foundation.errors import FileAccessError, naming

FIRST_ID: Final = 1001
RUNNING: Final = "running"
SUCCESS: Final = "success"
FAILED: Final = "failed"
SKIPPED: Final = "skipped"


@dataclass(frozen=True)
class RehearsedPipeline:
    """A pipeline of a rehearsal.

    `name` is that of the trigger job that started it, `jobs` what came of each job, `children` the pipelines of its
    trigger jobs by their names, `left_out` the reasons why jobs were not run.
    """

    id: int
    name: str
    parent: int | None
    status: str = RUNNING
    jobs: Mapping[str, str] = field(default_factory=dict)
    bridges: tuple[str, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)


def new_pipeline(folder: Path, name: str, parent: int | None) -> RehearsedPipeline:
    """Take the next free id, which several processes may do at once. Raises `FileAccessError`."""
    with naming(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(FIRST_ID, FIRST_ID + 100_000):
            try:
                (folder / f"{number}.json").touch(exist_ok=False)
            except FileExistsError:
                continue
            pipeline = RehearsedPipeline(number, name, parent)
            save(folder, pipeline)
            return pipeline
    raise FileAccessError(f"{folder}: too many pipelines")


def save(folder: Path, pipeline: RehearsedPipeline) -> None:
    """Write what is known of a pipeline. Raises `FileAccessError`."""
    write_files(folder, {f"{pipeline.id}.json": json.dumps(asdict(pipeline), indent=1).encode()})


def pipelines(folder: Path) -> tuple[RehearsedPipeline, ...]:
    """All pipelines so far, in the order in which they began. Raises `FileAccessError`."""
    return tuple(_read(folder))


def _read(folder: Path) -> Iterator[RehearsedPipeline]:
    for path in sorted(folder.glob("*.json"), key=lambda path: int(path.stem)):
        content = read_file(path)
        if content:  # else it is just being made
            value = json.loads(content)
            yield RehearsedPipeline(**{**value, "bridges": tuple(value["bridges"])})
