"""What a registry knows of an image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Published:
    """An image that a registry holds: its manifest's digest, its labels and the architecture in its configuration."""

    digest: str
    labels: Mapping[str, str]
    architecture: str


@dataclass(frozen=True, slots=True, order=True)
class Query:
    """A question to a registry: the image of this reference for this architecture."""

    reference: str
    architecture: str
