"""The image that a package job runs in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from job_creator.environments.setting import Setting
from job_creator.site.site import Site


class ImagePolicy(Protocol):
    """What the place that packages are built at says of images."""

    @property
    def site(self) -> Site:
        """The site, which has a pull policy."""

    @property
    def setting(self) -> Setting:
        """The run, which has a builder image."""

    @property
    def builder_in_environments(self) -> str:
        """What Spack found as the builder image before that was known by its digest; empty if it was."""


def package_image(written: Any, place: ImagePolicy) -> dict[str, Any]:
    """A string or a mapping, with the site's pull policy; the builder image where Spack named none."""
    image = dict(written) if isinstance(written, Mapping) else {"name": written} if written else {}
    if place.builder_in_environments and image.get("name") == place.builder_in_environments:
        image["name"] = place.setting.builder
    policy = place.site.gitlab.pull_policy
    return {"name": place.setting.builder, "entrypoint": [""], **image, **({"pull_policy": policy} if policy else {})}
