"""Which images a tag without architecture points to."""

from __future__ import annotations

from collections.abc import Iterable

from job_creator.site.site import Site


def left_out_reason(architecture: str, platform: str, members: Iterable[str], site: Site) -> str:
    """Why the image for an architecture has only its own tag, where those of `members` share one."""
    first = next(name for name in members if site.platform(name) == platform)
    return f"the tag has one image for {platform}, that for {first}; {architecture} has a tag of its own"
