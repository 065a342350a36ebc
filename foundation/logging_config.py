"""Logging of the commands: one line per decision on stderr, results on stdout, no files."""

from __future__ import annotations

import logging
import sys
from typing import Final

PACKAGES: Final = ("foundation", "job_creator", "get_artifacts", "spackitor")
_LEVELS: Final = {-1: logging.WARNING, 0: logging.INFO}
_FORMATS: Final = {-1: "%(message)s", 0: "%(message)s", 1: "%(levelname)s: %(message)s"}
_MOST: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def configure(verbosity: int) -> None:
    """Set what our packages log: -1 warnings only, 0 decisions, 1 everything, 2 the same with its time and module."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(_FORMATS.get(verbosity, _MOST)))
    for package in PACKAGES:
        logger = logging.getLogger(package)
        logger.handlers[:] = [handler]
        logger.setLevel(_LEVELS.get(verbosity, logging.DEBUG))
        logger.propagate = False
