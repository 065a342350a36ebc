"""What an environment asks of its image, and what of that no image is made after."""

from __future__ import annotations

from collections.abc import Iterator

from foundation.errors import Fault
from job_creator.checks.environment_file import EnvironmentFile
from job_creator.environments.container_section import PROVENANCE, not_followed


def container_faults(file: EnvironmentFile) -> Iterator[Fault]:
    """Keys of `container` that would have no effect, and labels that are taken."""
    if file.is_whole:
        reserved = (file.site.registry.label_prefix, *PROVENANCE)
        for location, message, hint in not_followed(file.merged.get("container"), reserved):
            yield file.fault_of_merged(("container", *location), message, hint)
