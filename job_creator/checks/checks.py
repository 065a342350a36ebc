"""All checks of environments, and what cannot be checked here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from foundation.errors import Fault
from foundation.yaml_io import Document
from job_creator.checks.environment_file import Check, EnvironmentFile
from job_creator.checks.folders import install_tree_faults, view_faults
from job_creator.checks.groups import spec_groups
from job_creator.checks.mirrors import mirror_faults
from job_creator.checks.sections import refused_sections
from job_creator.definitions.definitions import Definition, SpackDefinition
from job_creator.site.site import Site

CHECKS: Final[tuple[Check, ...]] = (refused_sections, install_tree_faults, view_faults, mirror_faults, spec_groups)
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
        EnvironmentFile(one.document, site, root, one, template)
        for one in definitions
        if isinstance(one, SpackDefinition)
    ]
    found = (fault for subject in subjects for rule in CHECKS for fault in rule(subject))
    # What the template says alone is wrong for every definition, and told once.
    return Checked(tuple(dict.fromkeys(found)))
