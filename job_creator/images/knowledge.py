"""What registries hold, as values: the question, the answer, and what to make of no answer."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from foundation.registries.published import Published, Query
from job_creator.images.decisions import Action, compare_labels
from job_creator.site.run import Context
from job_creator.site.site import Site

PROJECT_REGISTRY: Final = "$CI_REGISTRY_IMAGE"


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What is known of the registry. Without an answer (`published` is `None`) nothing counts as published."""

    published: Mapping[Query, Published | None] | None
    why_unknown: str = ""
    forced: Collection[str] = ()
    """Names of images that are built in any case."""

    def of(self, reference: str, platform: str) -> Published | None:
        """What is published under a reference for an architecture, as OCI calls it."""
        return (self.published or {}).get(Query(reference, platform))

    def judge(
        self, name: str, reference: str, platform: str, labels: Mapping[str, str]
    ) -> tuple[Action, str, str | None]:
        """Whether an image with these labels has to be built, why, and the digest of one that is there already."""
        if name in self.forced:
            return Action.BUILD, "forced", None
        if self.published is None:
            return Action.BUILD, self.why_unknown, None
        own = self.of(reference, platform)
        if own and own.architecture != platform:
            return Action.BUILD, f"what is published is for {own.architecture or 'no architecture'}", None
        action, reason = compare_labels(labels, own.labels if own else None)
        return action, reason, own.digest if own and action is Action.REUSE else None


def registry_of(site: Site, context: Context) -> str:
    """Registry and group of all images: the site's, or the project's own, which GitLab fills in where it is unknown."""
    return site.registry.image or context.registry_image or PROJECT_REGISTRY
