"""What the site's own mirrors are called in every environment."""

from __future__ import annotations

from typing import Final

DESTINATION: Final = "buildcache-destination"
"""The mirror that `spack ci` pushes to; mandatory from Spack 0.23 on (lib/spack/spack/cmd/ci.py)."""
DEFAULT_BRANCH_CACHE: Final = "buildcache-default-branch"
SOURCE_MIRROR: Final = "source-mirror"
BINARY_MIRROR: Final = "binary-mirror"
SITE_MIRRORS: Final = frozenset({DESTINATION, DEFAULT_BRANCH_CACHE, SOURCE_MIRROR, BINARY_MIRROR})
"""Names that no environment may use for something else."""
