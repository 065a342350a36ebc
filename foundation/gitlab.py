"""What more than one command assumes of a GitLab server and its project, unless the site file says otherwise; and
durations as GitLab reads them: numbers with units, in words of English.

Source of durations: GitLab docs, `timeout` and `artifacts:expire_in`; the gem gitlab-chronic-duration 0.12.
"""

from __future__ import annotations

import re
from typing import Final

API_TOKEN_VARIABLE: Final = "GITLAB_API_TOKEN"
"""The CI variable with a token that may read the API."""
REPORT_TOKEN_VARIABLE: Final = "SPACKTAINERS_REPORT_TOKEN"
"""The CI variable with a token that may comment on merge requests."""
MAX_ARTIFACT_BYTES: Final = 5 * 1024 * 1024
"""Size of an artifacts archive from which a trigger may take its YAML (GitLab docs, "CI/CD YAML syntax reference")."""

_SECONDS: Final = {
    "seconds": 1,
    "minutes": 60,
    "hours": 3600,
    "days": 86_400,
    "weeks": 7 * 86_400,
    "months": 30 * 86_400,
    "years": 31_557_600,
}
_SPELLINGS: Final = {
    "seconds": ("second", "secs", "sec", "s"),
    "minutes": ("minute", "mins", "min", "m"),
    "hours": ("hour", "hrs", "hr", "h"),
    "days": ("day", "dy", "d"),
    "weeks": ("week", "wks", "wk", "w"),
    "months": ("month", "mos", "mo"),
    "years": ("year", "yrs", "yr", "y"),
}
_UNITS: Final = {word: seconds for unit, seconds in _SECONDS.items() for word in (unit, *_SPELLINGS[unit])}
_CLOCK: Final = ("seconds", "minutes", "hours", "days", "months", "years")
"""What the parts of `1:30:00` are, from the right."""
_JOINING: Final = ("and", "with", "plus")
_NUMBER: Final = re.compile(r"[0-9]*\.?[0-9]+")
_CLOCK_TIME: Final = re.compile(r"[0-9]+(:[0-9]+){1,5}(\.[0-9]*)?")

MAX_JOB_TIMEOUT: Final = 2_629_746
"""Seconds of the longest `timeout` of a job: a month, as Ruby on Rails counts it (30.44 days)."""
WEEK: Final = _SECONDS["weeks"]
"""Seconds of the longest `start_in`."""


def duration_seconds(text: str) -> float:
    """How long that is. A number without a unit is seconds, a unit that begins the text counts once.

    Raises `ValueError` for a word that GitLab does not know, and for a text in which nothing is a duration.
    """
    words = [_word(word) for word in _spaced(text.lower()).split()]
    parts = [word for word in words if word is not None]
    if not parts:
        raise ValueError(f"{text!r} is no duration")
    if isinstance(parts[0], int):
        parts.insert(0, "1")
    total = 0.0
    for number, following in zip(parts, [*parts[1:], 1], strict=True):
        if isinstance(number, str):
            # A number after which another stands counts nothing, as GitLab has it.
            total += float(number) * (following if isinstance(following, int) else 0)
    return total


def _spaced(text: str) -> str:
    clock = text.replace(" ", "")
    if _CLOCK_TIME.fullmatch(clock):
        return " ".join(f"{part} {unit}" for part, unit in zip(reversed(clock.split(":")), _CLOCK, strict=False))
    return _NUMBER.sub(lambda match: f" {match[0]} ", text)


def _word(word: str) -> str | int | None:
    """A number as text, the seconds of a unit, or nothing for words that join."""
    if _NUMBER.fullmatch(word):
        return word
    plain = word.removeprefix(",").removesuffix(",")
    if plain in _UNITS:
        return _UNITS[plain]
    if plain in _JOINING:
        return None
    raise ValueError(f"{word!r} is no unit of time that GitLab knows")
