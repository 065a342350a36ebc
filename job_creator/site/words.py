"""Words of the site file: names of variables, durations, URLs."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from foundation.gitlab import MAX_JOB_TIMEOUT, duration_seconds
from foundation.spack.licenses import is_spdx
from foundation.validation import Form

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


_ACCESS_KEY = re.compile(r"(AKIA|ASIA)[0-9A-Z]{16}")


_DURATION = re.compile(r"\d+ ?(s|m|h|d|w|seconds?|minutes?|hours?|days?|weeks?)( \d+ ?(s|m|h|d|w|minutes?|hours?))*")


def variable_name(text: str) -> str:
    """The name of a CI variable itself. Raises `ValueError` when it is none, or looks like a key."""
    if _ACCESS_KEY.fullmatch(text):
        raise ValueError(
            "{name} looks like a key itself; write the name of the CI variable that holds it, and revoke it"
        )
    if not _VARIABLE.fullmatch(text):
        raise ValueError(f"{text!r} is no name of a CI variable; letters, digits and _ only, without $")
    return text


def _duration(text: str) -> str:
    if not _DURATION.fullmatch(text):
        raise ValueError(f"{text!r} is no duration; write for example '90 minutes' or '2h 30m'")
    if duration_seconds(text) <= 0:
        raise ValueError(f"{text!r} is nothing, which GitLab takes for no duration")
    return text


def _timeout(text: str) -> str:
    if duration_seconds(_duration(text)) > MAX_JOB_TIMEOUT:
        raise ValueError(f"{text!r} is longer than a month, the most that GitLab lets a job run")
    return text


def url_without_credentials(text: str) -> str:
    """The URL itself. Raises `ValueError` when it holds a password or a query, or is no http(s) URL."""
    try:
        parts = urlsplit(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is no URL: {error}") from None
    if "@" in parts.netloc:
        raise ValueError("{name} holds a user or password; keep those in a masked CI variable on the runner")
    if parts.query or parts.fragment:
        # What is signed for somebody carries the signature there (`?X-Amz-Signature=`, `?sig=`).
        raise ValueError("{name} has something behind '?' or '#', where signatures stand; keep secrets in CI variables")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{text!r} is no http or https URL")
    return text


def _license(text: str) -> str:
    if not is_spdx(text):
        raise ValueError(
            f"{text!r} is no license expression of names that SPDX lists, such as 'MIT OR Apache-2.0'; "
            "write LicenseRef-<name> for another license"
        )
    return text


VariableName = Annotated[str, AfterValidator(variable_name)]


Duration = Annotated[str, AfterValidator(_duration)]


Timeout = Annotated[str, AfterValidator(_timeout)]
"""A duration of at most a month."""


Url = Annotated[str, AfterValidator(url_without_credentials)]


Text = Annotated[str, Field(min_length=1)]


PackageName = Annotated[
    str, Form(r"^[a-z0-9][a-z0-9_-]*$", "the name of a package of Spack alone, such as 'osu-micro-benchmarks'")
]


LicenseExpression = Annotated[str, AfterValidator(_license)]
"""Licenses as SPDX writes them (SPDX 2.3, annex D)."""
