"""The one door to other programs: an argument list, no shell, a time limit, and stderr in the error."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from foundation.errors import NotReadyError

_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")


class ProcessError(Exception):
    """A program failed or ran out of time. The message never shows what a URL held before `@`."""

    def __init__(self, argv: Sequence[str], reason: str, exit_code: int | None = None) -> None:
        self.exit_code = exit_code
        super().__init__(without_credentials(f"'{' '.join(argv)}' {reason}"))


def run(
    argv: Sequence[str], *, seconds: float, environment: Mapping[str, str] | None = None, folder: Path | None = None
) -> str:
    """What a program prints on stdout; `environment` is added to this process's own.

    Raises `ProcessError`, and `NotReadyError` if there is no such program.
    """
    try:
        done = subprocess.run(  # noqa: S603 - an argument list of our own making
            list(argv),
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=seconds,
            cwd=folder,
            env={**os.environ, **(environment or {})},
            check=False,
        )
    except FileNotFoundError:
        raise missing(argv[0]) from None
    except subprocess.TimeoutExpired:
        raise ProcessError(argv, f"gave no answer within {seconds:g} seconds") from None
    if done.returncode != 0:
        raise ProcessError(argv, f"failed: {done.stderr.strip() or 'no message'}", done.returncode)
    return done.stdout


def missing(program: str) -> NotReadyError:
    """The error for a program that is not there, whatever it was needed for."""
    return NotReadyError(f"{program}: is not installed; install it, or put it on PATH")


def without_credentials(text: str) -> str:
    """The text with users and passwords taken out of its URLs."""
    return _CREDENTIALS.sub("", text)
