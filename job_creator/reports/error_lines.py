"""Finds the line of a build's log that says what went wrong. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

LONGEST: Final = 300
"""Letters of a line that are kept."""
_COLOURS: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")
_CAUSES: Final = re.compile(
    r"(?<![-\w./])(?:fatal error|internal compiler error|error|ERROR)(?=[:\[ ]\S|: )(?!: ?(?:0|no|none)\.?$)"
    r"|^\s*(?:CMake Error|\w*(?:Error|Exception): \S)|==> Error: \S"
    r"|undefined reference to|cannot find -l|No such file or directory|command not found|No space left on device"
    r"|Killed signal|Segmentation fault|Permission denied|Disk quota exceeded",
)
"""What compilers, linkers, build systems and Python say of a cause."""
_ENDS: Final = re.compile(r"^(?:g?make(?:\[\d+\])?: \*\*\*|ninja: build stopped|FAILED: )")
"""What build systems say of a command that failed: better than nothing."""
_HARMLESS: Final = re.compile(
    r"(?i)\bchecking (?:for|whether|if)\b|-Werror|\bwarning:|error[_-](?:message|handler|string)"
)


def first_error(lines: Iterable[str]) -> str:
    """The first line that names a cause; else the first that says that something failed; empty if none does."""
    fallback = ""
    for line in lines:
        text = _COLOURS.sub("", line).strip()[:LONGEST]
        if _CAUSES.search(text) and not _HARMLESS.search(text):
            return text
        if not fallback and _ENDS.search(text):
            fallback = text
    return fallback
