"""All checks of environments, and what cannot be checked here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from foundation.doors.files import read_file
from foundation.errors import Fault
from foundation.spack.package_index import PackageIndex
from job_creator.checks.ci import ci_faults, pipeline_generation_faults
from job_creator.checks.container import argument_faults, container_faults, dockerfile_faults
from job_creator.checks.environment_file import Check, EnvironmentFile
from job_creator.checks.externals import (
    external_faults,
    unseen_externals,
    unseen_folders,
    unseen_mirrors,
    unseen_programs,
)
from job_creator.checks.folders import install_tree_faults, path_faults, reuse_faults, view_faults
from job_creator.checks.groups import spec_groups, view_groups
from job_creator.checks.installers import installer_faults
from job_creator.checks.mirrors import mirror_faults
from job_creator.checks.recipes import recipe_faults
from job_creator.checks.sections import module_faults, permission_faults, refused_sections, variable_faults
from job_creator.checks.shapes import shape_faults
from job_creator.checks.specs.conditions import condition_faults
from job_creator.checks.specs.faults import spec_faults
from job_creator.checks.specs.lists import list_faults, list_name_faults
from job_creator.checks.specs.projections import projection_faults
from job_creator.checks.specs.virtuals import virtual_faults
from job_creator.definitions.definitions import DefinitionSurvey, ImportedDefinition, SpackDefinition
from job_creator.definitions.layers import Layers
from job_creator.environments.dockerfile_template import DockerfileTemplate
from job_creator.project_files import DOCKERFILE_TEMPLATE
from job_creator.repository import part
from job_creator.site.site import Site

CHECKS: Final[tuple[Check, ...]] = (
    refused_sections,
    shape_faults,
    list_faults,
    list_name_faults,
    ci_faults,
    pipeline_generation_faults,
    install_tree_faults,
    path_faults,
    reuse_faults,
    installer_faults,
    view_faults,
    mirror_faults,
    recipe_faults,
    module_faults,
    variable_faults,
    permission_faults,
    container_faults,
    dockerfile_faults,
    spec_groups,
    view_groups,
    spec_faults,
    condition_faults,
    virtual_faults,
    projection_faults,
    external_faults,
)
"""In the order in which faults at one place are told."""

QUESTIONS: Final[tuple[Callable[[EnvironmentFile], Iterator[str]], ...]] = (
    unseen_externals,
    unseen_programs,
    unseen_folders,
    unseen_mirrors,
)
"""Each yields what nobody can know here."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What is wrong, and what nobody looked at."""

    faults: tuple[Fault, ...] = ()
    not_checked: tuple[str, ...] = ()
    """What was not checked, and why, a sentence each."""


def check(
    site: Site,
    template: Layers | None,
    survey: DefinitionSurvey,
    root: Path,
    index: PackageIndex | None = None,
) -> Checked:
    """Hold the template and all definitions against what Spack and GitLab accept.

    What they include is looked at as well, each file by itself. Where the template or a definition is at fault by its
    outer form, nothing is said of what they would make together. Names are held against `index` if that is of the
    recipes which the site pins.
    """
    fitting = index if index and index.is_of(site.spack.recipes_ref) else None
    subjects = [
        EnvironmentFile(document, site, root, index=fitting) for document in (template.documents if template else ())
    ]
    own_template = _dockerfile_template(root)
    fits_together = bool(template and not template.faults)
    valid = (one for one in survey.definitions if isinstance(one, SpackDefinition))
    for one, fits in (*((one, fits_together) for one in valid), *((one, False) for one in survey.faulty)):
        subjects += [
            EnvironmentFile(document, site, root, one, template, fitting, own_template, fits_together=fits)
            for document in (one.document, *one.included)
        ]
    # What a file says alone is wrong for all that include it, and told once.
    faults = dict.fromkeys(fault for subject in subjects for rule in CHECKS for fault in rule(subject))
    imported = [one for one in survey.definitions if isinstance(one, ImportedDefinition)]
    faults |= dict.fromkeys(fault for one in imported for fault in argument_faults(site, one))
    unseen: dict[str, list[str]] = {}
    for subject in subjects:
        for text in (text for question in QUESTIONS for text in question(subject)):
            unseen.setdefault(text, []).append(subject.document.path)
    not_checked = [f"{_some(paths)}: {text}" for text, paths in unseen.items()]
    not_checked += [*_unseen_libraries(site), *_unchecked_names(site, index, subjects), *_unseen_images(imported)]
    return Checked(tuple(faults), tuple(not_checked))


def _unseen_libraries(site: Site) -> Iterator[str]:
    """What is built with a newer C library than its image has does not run; the job that concretizes tells."""
    builder, runtime = site.images.builder.base, site.images.runtime.base
    if builder != runtime:
        yield f"whether the C library of {runtime} is as new as that of {builder}"


def _unseen_images(imported: Iterable[ImportedDefinition]) -> Iterator[str]:
    if images := [str(one.image) for one in imported]:
        yield f"whether registries have {_some(images)}"


def _some(names: Iterable[str]) -> str:
    """The first of the names, and how many there are besides."""
    first, *others = dict.fromkeys(names)
    return f"{first} and {len(others)} more" if others else first


def _dockerfile_template(root: Path) -> DockerfileTemplate | None:
    found = part(root, DOCKERFILE_TEMPLATE)
    return None if found.is_default else DockerfileTemplate(found.name, read_file(found.path).decode())


def _unchecked_names(site: Site, index: PackageIndex | None, subjects: Iterable[EnvironmentFile]) -> Iterator[str]:
    """Where names of packages and variants were not looked up, and why."""
    names, ref = "names of packages and variants", site.spack.recipes_ref
    if not index:
        yield f"{names}: there is no package index of {ref}; 'jc index packages' makes one"
    elif not index.is_of(ref):
        found = ", ".join(sorted(index.refs)) or index.commit
        yield f"{names}: the package index is of {found}, and the site pins {ref}; 'jc index packages' makes one"
    elif own := sorted({one.document.path for one in subjects if one.names_own_repositories}):
        yield f"{names} in {_some(own)}: there are package repositories that no index is of"
