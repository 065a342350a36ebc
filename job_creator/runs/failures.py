"""Why a package is not there, as far as it can be told: by whom it is to be mended, and whether to try again. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from job_creator.engines.engine import EndingKind, StepEnding
from job_creator.runs.records import StepRecord


class FailureClass(StrEnum):
    """Where the cause of a failure lies."""

    OWN = "own"
    """In the package: it does not build."""
    DEPENDENCY = "dependency"
    """In something that it needs."""
    MEMORY = "memory"
    """It needs more memory than there was."""
    TIME = "time"
    """It needs more time than it had."""
    INFRASTRUCTURE = "infrastructure"
    """In a machine, a network, a file system."""


INFRASTRUCTURE_TRIES: Final = 3
"""How often a step is started at most whose machine fails."""
MEMORY_TRIES: Final = 2
"""How often a step that ran out of memory; with half the cores, so that fewer compilers run at once."""

_MEMORY: Final = re.compile(
    r"Killed signal terminated program|internal compiler error: Killed|virtual memory exhausted|std::bad_alloc"
    r"|[Oo]ut of memory|oom[-_]kill|Cannot allocate memory|LLVM ERROR: out of memory"
)
_MACHINE: Final = re.compile(
    r"No space left on device|Disk quota exceeded|Input/output error|Stale file handle|Read-only file system"
    r"|Temporary failure in name resolution|Connection (refused|reset|timed out)|Name or service not known"
)
"""What programs say when the machine is at fault, and not what they were to do."""


@dataclass(frozen=True, slots=True)
class Judgment:
    """Why a step failed, and whether it should be tried once more."""

    failure: FailureClass
    tries: int = 1
    """How often it may be started, this time included."""
    halves_cores: bool = False


def judge(ending: StepEnding, record: StepRecord | None, log_end: str) -> Judgment:
    """Judge a step that did not end with a package; `log_end` are the last lines of its log.

    What the program wrote down counts for more than what an engine says of its process.
    """
    if record is not None and record.state == "skipped":
        return Judgment(FailureClass.DEPENDENCY)
    if ending.kind is EndingKind.OUT_OF_TIME or (record is not None and record.is_out_of_time):
        return Judgment(FailureClass.TIME)
    if ending.kind is EndingKind.OUT_OF_MEMORY or _MEMORY.search(log_end):
        return Judgment(FailureClass.MEMORY, MEMORY_TRIES, halves_cores=True)
    if record is None or record.failure or ending.kind is EndingKind.LOST or _MACHINE.search(log_end):
        return Judgment(FailureClass.INFRASTRUCTURE, INFRASTRUCTURE_TRIES)
    return Judgment(FailureClass.OWN)
