"""The programs that some tests run for real."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import lru_cache
from typing import NoReturn

import pytest

REQUIRE_VARIABLE = "SPACKTAINERS_REQUIRE_COMPONENTS"
"""Set where everything is installed, such as in CI: there tests that lack a program fail instead of being skipped."""


def require(program: str) -> str:
    """The path of a program. Without it, or when it cannot work here, the test is skipped (or fails, see above)."""
    path = shutil.which(program)
    if path is None:
        give_up(f"{program} is not installed")
    if program == "buildah" and not _may_build(path):
        give_up("buildah needs root or user namespaces")
    return path


def give_up(reason: str) -> NoReturn:
    """Skips the test, or fails it where nothing may be missing."""
    if os.environ.get(REQUIRE_VARIABLE):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@lru_cache(maxsize=1)
def _may_build(buildah: str) -> bool:
    if os.geteuid() == 0:
        return True
    done = subprocess.run([buildah, "unshare", "true"], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return done.returncode == 0
