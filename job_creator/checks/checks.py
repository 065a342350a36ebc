"""All checks of environments, and what cannot be checked here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from foundation.errors import Fault
from job_creator.checks.ci import ci_faults
from job_creator.checks.container import container_faults
from job_creator.checks.environment_file import Check, EnvironmentFile
from job_creator.checks.externals import unseen_externals, unseen_recipes
from job_creator.checks.folders import config_path_faults, install_tree_faults, view_faults
from job_creator.checks.groups import spec_groups
from job_creator.checks.mirrors import mirror_faults
from job_creator.checks.recipes import recipe_faults
from job_creator.checks.sections import module_faults, refused_sections, sections_of_groups
from job_creator.checks.shapes import list_name_faults, shape_faults
from job_creator.definitions.definitions import Definition, SpackDefinition
from job_creator.definitions.layers import Layers
from job_creator.site.site import Site

CHECKS: Final[tuple[Check, ...]] = (
    refused_sections,
    shape_faults,
    list_name_faults,
    ci_faults,
    install_tree_faults,
    config_path_faults,
    view_faults,
    mirror_faults,
    recipe_faults,
    module_faults,
    container_faults,
    spec_groups,
    sections_of_groups,
)
"""In the order in which faults at one place are told."""

QUESTIONS: Final[tuple[Callable[[EnvironmentFile], Iterator[str]], ...]] = (unseen_externals, unseen_recipes)
"""Each yields what nobody can know here."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What is wrong, and what nobody looked at."""

    faults: tuple[Fault, ...] = ()
    not_checked: tuple[str, ...] = ()
    """What was not checked, and why, a sentence each."""


def check(site: Site, template: Layers | None, definitions: Iterable[Definition], root: Path) -> Checked:
    """Hold the template and all definitions, each valid by its outer form, against what Spack and GitLab accept.

    What they include is looked at as well, each file by itself. Without a template, since that is at fault itself,
    nothing is said of what it makes together with definitions.
    """
    subjects = [EnvironmentFile(document, site, root) for document in (template.documents if template else ())]
    for one in definitions:
        if isinstance(one, SpackDefinition):
            documents = (one.document, *one.included)
            subjects += [EnvironmentFile(document, site, root, one, template) for document in documents]
    # What a file says alone is wrong for all that include it, and told once.
    faults = dict.fromkeys(fault for subject in subjects for rule in CHECKS for fault in rule(subject))
    not_checked = dict.fromkeys(text for subject in subjects for question in QUESTIONS for text in question(subject))
    return Checked(tuple(faults), tuple(not_checked))
