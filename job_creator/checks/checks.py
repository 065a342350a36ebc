"""All checks of environments, and what cannot be checked here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from foundation.errors import Fault
from foundation.yaml_io import Document
from job_creator.checks.environment_file import Check, EnvironmentFile
from job_creator.definitions.definitions import Definition, SpackDefinition
from job_creator.site.site import Site

CHECKS: Final[tuple[Check, ...]] = ()
"""In the order in which faults at one place are told."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What is wrong, and what nobody looked at."""

    faults: tuple[Fault, ...] = ()
    not_checked: tuple[str, ...] = ()
    """What was not checked, and why, a sentence each."""


def check(site: Site, template: Document, definitions: Iterable[Definition], root: Path) -> Checked:
    """Hold the template and all definitions, each valid by its outer form, against what Spack and GitLab accept."""
    subjects = (
        [EnvironmentFile(template, site, root)]
        if isinstance(template.value, dict) and "spack" in template.value
        else []
    )
    subjects += [
        EnvironmentFile(one.document, site, root, one) for one in definitions if isinstance(one, SpackDefinition)
    ]
    return Checked(tuple(fault for subject in subjects for rule in CHECKS for fault in rule(subject)))
