"""Which file of a container `current` leads to: the one that the newest pipeline of the default branch wants there.

    <folder>/<container>/.current.json    the number of that pipeline, and the name of the file

It is written before the link moves. So a pipeline whose jobs are run again later finds that a newer one has spoken, and
an older version that a newer pipeline goes back to is current again, although it was published before.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from foundation.doors.files import read_file
from foundation.errors import DamagedError
from job_creator.publishing.clusters.sif_folder import Modes, write_beside

_STATE: Final = ".current.json"


@dataclass(frozen=True, slots=True)
class Current:
    """What was said last."""

    pipeline: int
    file: str
    """The name of the file beside."""


def read_current(folder: Path) -> Current | None:
    """What was said of a container's folder; `None` if nothing was. Raises `FileAccessError` and `DamagedError`."""
    path = folder / _STATE
    if not path.is_file():
        return None
    try:
        value = json.loads(read_file(path))
        pipeline, file = value["pipeline"], value["file"]
    except (ValueError, TypeError, KeyError):
        pipeline, file = None, None
    if type(pipeline) is not int or not isinstance(file, str) or "/" in file or not file:
        raise DamagedError(f"{path}: does not say which file is current; remove it, and run this again")
    return Current(pipeline, file)


def write_current(folder: Path, current: Current, modes: Modes) -> None:
    """Write down what is said now. Raises `FileAccessError`."""
    write_beside(folder / _STATE, (json.dumps(asdict(current)) + "\n").encode(), modes)
