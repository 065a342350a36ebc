"""What registries hold, as values: the question, the answer, and what to make of no answer.

Whoever may push can put labels on anything. So an image of the default branch counts where a trusted key signed it, if
it is known which keys are trusted; what branches made counts by its labels for branches, and for the default branch
only if signed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from foundation.registries.published import Published, Query
from job_creator.images.decisions import NOT_PUBLISHED, Action, compare_labels
from job_creator.provenance.proofs import Claim, Proofs
from job_creator.provenance.statements import StatementKind
from job_creator.site.run import Context
from job_creator.site.site import Site

PROJECT_REGISTRY: Final = "$CI_REGISTRY_IMAGE"


class Trust(Enum):
    """When what is found at a place counts."""

    LABELS = "if its labels are right"
    PROOF_WHERE_KEYS_ARE_KNOWN = "if a trusted key signed it; where none is known, if its labels are right"
    PROOF = "if a trusted key signed it"


@dataclass(frozen=True, slots=True)
class ImagePlace:
    """Where an image may be, and when it counts there."""

    repository: str
    tag: str
    trust: Trust

    @property
    def reference(self) -> str:
        """The place as a reference."""
        return f"{self.repository}:{self.tag}"


@dataclass(frozen=True, slots=True)
class WantedImage:
    """An image as it has to be, and the places where it may be already, the best one first."""

    kind: StatementKind
    name: str
    architecture: str
    """The site's name of it."""
    platform: str
    """OCI's name of it."""
    labels: Mapping[str, str]
    fingerprint: str
    places: tuple[ImagePlace, ...]

    def claim(self, place: ImagePlace) -> Claim:
        """What has to be signed of the image that is found at a place."""
        return Claim(self.kind, place.repository, self.architecture, self.fingerprint)

    @property
    def queries(self) -> tuple[Query, ...]:
        """What to ask the registry for."""
        return tuple(Query(place.reference, self.platform) for place in self.places)


@dataclass(frozen=True, slots=True)
class Judgement:
    """Whether an image has to be built, why, and the one that is there already."""

    action: Action
    reason: str
    place: ImagePlace | None = None
    published: Published | None = None

    @property
    def digest(self) -> str | None:
        """Of the image that is there."""
        return self.published.digest if self.published else None

    @property
    def image(self) -> str:
        """The image that is there, by its digest; empty if there is none."""
        return f"{self.place.repository}@{self.published.digest}" if self.place and self.published else ""


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What is known of the registry. Without an answer (`published` is `None`) nothing counts as published."""

    published: Mapping[Query, Published | None] | None
    why_unknown: str = ""
    forced: Collection[str] = ()
    """Names of images that are built in any case."""
    proofs: Proofs | None = None
    """What is proven of them; `None` where nobody wants to know."""

    def of(self, reference: str, platform: str) -> Published | None:
        """What is published under a reference for an architecture, as OCI calls it."""
        return (self.published or {}).get(Query(reference, platform))

    def judge(self, wanted: WantedImage) -> Judgement:
        """Whether an image has to be built."""
        if wanted.name in self.forced:
            return Judgement(Action.BUILD, "forced")
        if self.published is None:
            return Judgement(Action.BUILD, self.why_unknown)
        reasons: list[str] = []
        for place in wanted.places:
            judged = self._judge_at(place, wanted)
            if judged.action is Action.REUSE:
                return judged
            reasons.append(judged.reason)
        return Judgement(Action.BUILD, next((one for one in reasons if one != NOT_PUBLISHED), NOT_PUBLISHED))

    def candidates(self, wanted: Iterable[WantedImage]) -> tuple[str, ...]:
        """The images, by digest, that would do if they were proven to be what they say."""
        found = (
            f"{place.repository}@{own.digest}"
            for one in wanted
            for place in one.places
            if place.trust is not Trust.LABELS
            and (own := self.of(place.reference, one.platform)) is not None
            and compare_labels(one.labels, own.labels)[0] is Action.REUSE
        )
        return tuple(dict.fromkeys(found))

    def _judge_at(self, place: ImagePlace, wanted: WantedImage) -> Judgement:
        own = self.of(place.reference, wanted.platform)
        if own and own.architecture != wanted.platform:
            return Judgement(Action.BUILD, f"what is published is for {own.architecture or 'no architecture'}")
        action, reason = compare_labels(wanted.labels, own.labels if own else None)
        if action is not Action.REUSE or own is None:
            return Judgement(action, reason)
        if self.proofs is None or place.trust is Trust.LABELS:
            return Judgement(action, reason, place, own)
        fault = self.proofs.fault(wanted.claim(place), own.digest)
        if not fault:
            return Judgement(action, f"{reason}, and signed", place, own)
        if self.proofs.why_none and place.trust is Trust.PROOF_WHERE_KEYS_ARE_KNOWN:
            return Judgement(action, f"{reason}; {fault.removeprefix('is ')}", place, own)
        if self.proofs.why_none:
            return Judgement(Action.BUILD, NOT_PUBLISHED)
        return Judgement(Action.BUILD, f"what is published {fault}")


def registry_of(site: Site, context: Context) -> str:
    """Registry and group of all images: the site's, or the project's own, which GitLab fills in where it is unknown."""
    return site.registry.image or context.registry_image or PROJECT_REGISTRY
