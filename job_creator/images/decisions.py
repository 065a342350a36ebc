"""What is to be done, and why: decisions that carry their reason, and the fingerprints they rest on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

NOT_PUBLISHED: Final = "not published yet"


class Action(StrEnum):
    """What happens to a subject in the pipeline that is generated."""

    BUILD = "build"
    TAG = "tag"
    """It gets a tag by its digest; nothing is built."""
    REUSE = "reuse"
    COPY = "copy"
    CONCRETIZE = "concretize"
    DECIDE_LATER = "decide later"
    FAIL = "fail"
    LEAVE_OUT = "leave out"


class Subject(StrEnum):
    """The kinds of things that are decided on."""

    BASE_IMAGE = "base image"
    IMAGE_INDEX = "image index"
    ENVIRONMENT = "environment"
    CONTAINER = "container"
    STATEMENT = "statement"
    SIF = "SIF file"
    DOCKER_HUB = "Docker Hub"
    CLUSTER = "cluster"


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision. `architecture` is empty for what spans several."""

    subject: Subject
    name: str
    architecture: str
    action: Action
    reason: str


def compare_labels(expected: Mapping[str, str], published: Mapping[str, str] | None) -> tuple[Action, str]:
    """Whether what is published was made from what we have now, and what the difference is.

    `published` is `None` when nothing is published at all; labels beyond the expected ones do not count.
    """
    if published is None:
        return Action.BUILD, NOT_PUBLISHED
    differences = [
        f"{name.rpartition('.')[2]} is {_short(published.get(name))}, not {_short(value)}"
        for name, value in sorted(expected.items())
        if published.get(name) != value
    ]
    return (Action.BUILD, "; ".join(differences)) if differences else (Action.REUSE, "published and up to date")


def _short(value: str | None) -> str:
    if value is None:
        return "not recorded"
    return value[:12] if len(value) >= 40 and value.isalnum() else value
