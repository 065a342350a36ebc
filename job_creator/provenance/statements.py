"""Statements of where something published comes from, as values and as the bytes that are signed.

The format is ours (docs/provenance.md): one JSON object in UTF-8 with sorted keys and no blanks, so that one statement
has one spelling. What is not spelled like that was not written here, and counts for nothing.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any, Final

FORMAT: Final = 1
"""To be raised when the meaning of a field changes; statements of other formats count for nothing."""
LARGEST: Final = 16 << 10
"""Bytes; a statement takes less than one KiB."""

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


class StatementKind(StrEnum):
    """What kind of thing a statement is about."""

    BASE_IMAGE = "base image"
    CONTAINER_IMAGE = "container image"


@dataclass(frozen=True, slots=True)
class Statement:
    """That a run made something. Only a signature says that it is true."""

    kind: StatementKind
    subject: str
    """`sha256:…` of what was made: of its manifest."""
    name: str
    """Where an image is, without registry and tag."""
    architecture: str
    """As the site calls it."""
    fingerprint: str
    """Of everything that it was made from, 64 hex digits."""
    ref: str
    """The full git ref; empty outside CI."""
    is_default_branch: bool
    lock_sha256: str = ""
    """Of the lockfile in it, 64 hex digits; empty where there is none."""
    commit: str = ""
    pipeline_url: str = ""
    made: str = ""
    """When, in UTC: `2025-01-31T12:00:00Z`."""

    def to_bytes(self) -> bytes:
        """What is signed."""
        return canonical({"format": FORMAT, **asdict(self)})

    @classmethod
    def from_bytes(cls, content: bytes) -> Statement | None:
        """Read what `to_bytes` wrote; `None` for anything else."""
        value = read_canonical(content)
        if value is None or value.pop("format", None) != FORMAT or value.keys() != set(_NAMES):
            return None
        texts = [one for name, one in value.items() if name != "is_default_branch"]
        if not all(isinstance(one, str) for one in texts) or not isinstance(value["is_default_branch"], bool):
            return None
        kinds = {str(kind): kind for kind in StatementKind}
        if value["kind"] not in kinds:
            return None
        statement = cls(**{**value, "kind": kinds[value["kind"]]})
        return statement if statement.is_whole else None

    @property
    def is_whole(self) -> bool:
        """Whether every field has a value that it can have."""
        return bool(
            _DIGEST.fullmatch(self.subject)
            and _SHA256.fullmatch(self.fingerprint)
            and (not self.lock_sha256 or _SHA256.fullmatch(self.lock_sha256))
            and (not self.made or _TIME.fullmatch(self.made))
            and self.name
            and self.architecture
        )


_NAMES: Final = tuple(field.name for field in fields(Statement))


def canonical(value: dict[str, Any]) -> bytes:
    """The one spelling of a JSON object: sorted keys, no blanks, ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode("ascii")


def read_canonical(content: bytes, largest: int = LARGEST) -> dict[str, Any] | None:
    """The JSON object in these bytes, if `canonical` would write them like that; `None` otherwise."""
    if len(content) > largest:
        return None
    try:
        value = json.loads(content)
        is_same = isinstance(value, dict) and canonical(value) == content
    except (ValueError, RecursionError):
        return None
    return value if is_same else None
