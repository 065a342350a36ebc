"""What GitLab itself said of pipelines: see `tests/data/gitlab/README.md`."""

from __future__ import annotations

import json
import lzma
from dataclasses import dataclass
from typing import Final

from tests.samples import REPOSITORY

RECORDING: Final = REPOSITORY / "tests" / "data" / "gitlab" / "verdicts.jsonl.xz"


@dataclass(frozen=True)
class RecordedVerdict:
    """One pipeline."""

    id: str
    fault: str
    accepted: bool
    text: str


def recorded_verdicts() -> list[RecordedVerdict]:
    """All of them."""
    with lzma.open(RECORDING, "rt", encoding="utf-8") as lines:
        return [RecordedVerdict(**json.loads(line)) for line in lines]
