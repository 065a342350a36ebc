"""The image that a package job runs in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def package_image(written: Any, builder: str, in_environments: str, policy: Any) -> dict[str, Any]:
    """A string or a mapping, with the site's pull policy; the builder image where Spack named none.

    `in_environments` is what Spack found as the builder image, before that was known by its digest; empty if it was.
    """
    image = dict(written) if isinstance(written, Mapping) else {"name": written} if written else {}
    if in_environments and image.get("name") == in_environments:
        image["name"] = builder
    return {"name": builder, "entrypoint": [""], **image, **({"pull_policy": policy} if policy else {})}
