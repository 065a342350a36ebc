"""Where images are pushed to."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

from foundation.registries.reference import is_host, parse_reference
from foundation.validation import Value
from job_creator.site.words import VariableName

_LABEL_PREFIX = re.compile(r"[a-z0-9]+([.-][a-z0-9]+)*")


def _repository(text: str) -> str:
    group = text.rstrip("/")
    if "/" not in group and is_host(group):
        raise ValueError(f"{group!r} is a registry, and names no group in it; write for example '{group}/containers'")
    reference = parse_reference(group)
    if reference.digest or ":" in group.rpartition("/")[2]:
        raise ValueError("{name} must name a group of images, without tag or digest")
    return group


def _label_prefix(text: str) -> str:
    if not _LABEL_PREFIX.fullmatch(text):
        raise ValueError(f"{text!r} is no label prefix; write a reversed domain such as 'org.example.containers'")
    return text


class Registry(Value):
    """Where images are pushed to."""

    image: Annotated[str, AfterValidator(_repository)] | None = None
    """Registry and group that the images are put under; by default the project's own (`$CI_REGISTRY_IMAGE`)."""
    user_variable: VariableName = "CI_REGISTRY_USER"
    """Name of the CI variable with the user that may push there."""
    password_variable: VariableName = "CI_REGISTRY_PASSWORD"
    """Name of the CI variable with that user's password."""
    label_prefix: Annotated[str, AfterValidator(_label_prefix)] = "org.spacktainers"
    """Prefix of the labels in which images say what they were built from."""
