"""What is to be done, and why: decisions that carry their reason, and the fingerprints they rest on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

NOT_PUBLISHED: Final = "not published yet"


class Action(StrEnum):
    """What happens to a subject in the pipeline that is generated."""

    BUILD = "build"
    REUSE = "reuse"
    CONCRETIZE = "concretize"
    DECIDE_LATER = "decide later"
    FAIL = "fail"


class Subject(StrEnum):
    """The kinds of things that are decided on."""

    BASE_IMAGE = "base image"
    IMAGE_INDEX = "image index"
    ENVIRONMENT = "environment"
    CONTAINER = "container"
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


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file as it counts for a fingerprint: git's mode (100644, 100755 or 120000) and the sha256 of its content.

    Only the executable bit of the permissions counts, as in git: the others depend on the umask of the checkout.
    """

    path: str
    mode: str
    sha256: str


def fingerprint(inputs: Mapping[str, str]) -> str:
    """The sha256 over the inputs of a build, whatever their order, as 64 hex digits."""
    return hashlib.sha256(json.dumps(inputs, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def files_fingerprint(entries: Iterable[FileEntry]) -> str:
    """The sha256 over names, modes and contents of files, as 64 hex digits."""
    return fingerprint({entry.path: f"{entry.mode} {entry.sha256}" for entry in entries})


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
