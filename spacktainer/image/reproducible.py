"""Takes out of Spack's own files what no two installations of the same have in common: `reproducible.py FOLDER`.

Everything stays valid for Spack (v0.21 to v1.2): the database of installed packages (`lib/spack/spack/database.py`)
says that all were installed at SOURCE_DATE_EPOCH, and the times that phases took (`lib/spack/spack/util/timer.py`) are
none.

Runs with the builder image's Python, hence without dependencies.
"""

from __future__ import annotations

import json
import os
import sys
import uuid
from pathlib import Path
from typing import Any

DATABASE = ".spack-db"
INDEX = "index.json"
VERIFIER = "index_verifier"
TIMES = "install_times.json"


def settle(folder: Path, epoch: int) -> None:
    """Change all such files below a folder. Links are left alone: what they lead to is below it as well."""
    for current, _, names in os.walk(folder):
        here = Path(current)
        if here.name == DATABASE and INDEX in names:
            _settle_database(here, epoch)
        if TIMES in names and not (here / TIMES).is_symlink():
            _write(here / TIMES, _without_durations(json.loads((here / TIMES).read_text(encoding="utf-8"))))


def _settle_database(folder: Path, epoch: int) -> None:
    content = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    installs = content["database"]["installs"]
    for record in installs.values():
        if "installation_time" in record:
            record["installation_time"] = float(epoch)
    content["database"]["installs"] = dict(sorted(installs.items()))
    written = _write(folder / INDEX, content)
    # Spack reads the index again where this differs from what it saw last.
    if (folder / VERIFIER).exists():
        (folder / VERIFIER).write_text(str(uuid.uuid5(uuid.NAMESPACE_OID, written)), encoding="utf-8")


def _without_durations(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_durations(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_without_durations(one) for one in value]
    return 0.0 if isinstance(value, float) else value


def _write(path: Path, value: Any) -> str:
    """In place, since it may have more than one name."""
    text = json.dumps(value, separators=(",", ":"))
    path.write_text(text, encoding="utf-8")
    return text


if __name__ == "__main__":
    settle(Path(sys.argv[1]), int(os.environ.get("SOURCE_DATE_EPOCH", "0")))
