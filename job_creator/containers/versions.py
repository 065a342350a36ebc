"""The version of a container, and the tags and file names that are made of it."""

from __future__ import annotations

import hashlib
import re
from typing import Final

from foundation.registries.reference import ImageReference
from job_creator.site.run import Context

MAX_TAG: Final = 128
"""Characters of a tag (OCI distribution specification, "Pulling manifests")."""
MAX_VERSION: Final = 40
"""Leaves room for a branch (`site/run.py` cuts at 63), an architecture and separators."""

TITLE_LABEL: Final = "org.opencontainers.image.title"
VERSION_LABEL: Final = "org.opencontainers.image.version"
"""Where an image says of which version it is (OCI image specification, "Annotations")."""


def image_version(image: ImageReference) -> str:
    """The version of an imported image: its tag, or what identifies its digest."""
    if image.tag:
        return image.tag
    algorithm, _, digits = (image.digest or "").partition(":")
    return f"{algorithm}-{digits[:16]}"


def tag_of(version: str, context: Context) -> str:
    """The tag, without architecture: the version on the default branch, version and branch elsewhere."""
    legal = legal_version(version)
    return legal if context.is_default_branch else f"{legal}__{context.ref_slug}"


def legal_version(version: str) -> str:
    """A version as it may stand in a tag: `git.v1.2=1.2` has characters that tags do not; `__` separates."""
    legal = re.sub(r"_{2,}", "_", re.sub(r"[^A-Za-z0-9_.-]", "-", version)).lstrip(".-") or "none"
    if len(legal) <= MAX_VERSION:
        return legal
    # Two long versions must not become one.
    return f"{legal[: MAX_VERSION - 9]}-{hashlib.sha256(version.encode()).hexdigest()[:8]}"
