"""The program that builds the packages of a job, whoever starts the job, and the files that it leaves.

It is `scripts/templates/build_packages.py`, with the modules beside it that it starts or imports, and runs where this
project is not installed. The job that concretizes an environment leaves them below its artifacts, from where package
jobs run them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Final

from foundation.errors import Fault, InvalidInputError

PROGRAM: Final = "build_packages.py"
PHASES: Final = "package_phases.py"
APART: Final = "apart.py"
"""What lets other users run foreign code."""
BESIDE: Final = (PHASES, APART, "workplace.py")
"""What it starts and imports."""
SAME_USER_VARIABLE: Final = "SPACKTAINERS_SAME_USER"
"""Where it is set, all runs as the user of the job."""
FOLDER: Final = "steps"
"""Where they lie, below the artifacts of an environment."""

PACKAGES_VARIABLE: Final = "SPACKTAINERS_PACKAGES"
"""What a job with several packages builds, dependencies first: `name@version/hash name@version/hash`."""

OUTCOMES: Final = "outcomes"
"""The folder of what the program leaves, below the artifacts of an environment."""
RECORDS: Final = "packages.jsonl"
JUNIT: Final = "junit.xml"
MADE_WITH: Final = "made_with.json"
"""Image and commits that the job was made with, see `MadeWith`."""


def runs(command: Iterable[str]) -> bool:
    """Whether lines of shell run the program; an environment may say another way to build its packages."""
    return any(f"{FOLDER}/{PROGRAM}" in line for line in command)


@dataclass(frozen=True, slots=True)
class PackageOutcome:
    """What became of a package in a job, as the program wrote it down."""

    hash: str
    """DAG hash."""
    package: str
    version: str
    environment: str
    state: str
    """`built`, `reused` (it was in a build cache already), `failed`, or `skipped` (something that it needs failed)."""
    because: str
    """Why, as a sentence; empty for what was built."""
    seconds: float
    """From the first look for it to its push, in seconds; the start of the job is no part of it."""
    peak_memory_bytes: int
    """The most that all processes of its build had in memory at once; 0 where nobody could look."""


def read_records(content: bytes, path: str) -> tuple[PackageOutcome, ...]:
    """The records of a job. Raises `InvalidInputError` with the lines that are none."""
    found: list[PackageOutcome] = []
    faults: list[Fault] = []
    for number, line in enumerate(content.splitlines(), start=1):
        try:
            value = json.loads(line)
            found.append(PackageOutcome(**{field.name: value[field.name] for field in fields(PackageOutcome)}))
        except (ValueError, KeyError, TypeError) as error:
            faults.append(Fault(path, number, 1, f"is no record of a package: {error!r}"))
    if faults:
        raise InvalidInputError(faults)
    return tuple(found)
