"""Logging of the commands: one line per decision on stderr, results on stdout, no files."""

from __future__ import annotations

import logging
import sys


def configure(verbosity: int, package: str = "job_creator") -> None:
    """Set what a package logs: -1 warnings only, 0 decisions, 1 everything."""
    level = {-1: logging.WARNING, 0: logging.INFO}.get(verbosity, logging.DEBUG)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s" if verbosity > 0 else "%(message)s"))
    logger = logging.getLogger(package)
    logger.handlers[:] = [handler]
    logger.setLevel(level)
    logger.propagate = False
