"""What a definition asks of its image, and what of that no image is made after."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from foundation.errors import Fault
from job_creator.checks.environment_file import EnvironmentFile
from job_creator.definitions.definitions import ImportedDefinition
from job_creator.definitions.recipes import recipe_folders
from job_creator.definitions.sections import line_of_arguments
from job_creator.environments.container_section import PROVENANCE, not_followed, read_container_section
from job_creator.site.site import Site


def container_faults(file: EnvironmentFile) -> Iterator[Fault]:
    """Keys of `container` that would have no effect, and labels that are taken."""
    if file.is_whole:
        reserved = (file.site.registry.label_prefix, *PROVENANCE)
        for location, message, hint in not_followed(file.merged.get("container"), reserved):
            yield file.fault_of_merged(("container", *location), message, hint)


def argument_faults(site: Site, definition: ImportedDefinition) -> Iterator[Fault]:
    """Arguments of a `.def` file that the program which makes SIF files of it would not replace."""
    line = line_of_arguments(definition.text)
    tools = site.images.singularitah
    tool, name, since = (tools.apptainer, "Apptainer", (1, 2))
    if tools.singularity_ce:
        tool, name, since = (tools.singularity_ce, "SingularityCE", (4, 0))
    version = tuple(int(number) for number in re.findall(r"\d+", tool.version)[:2])
    if line and version < since:
        message = f"{name} {tool.version}, which the site file names, knows no '%arguments'"
        hint = f"write the values out, or name {since[0]}.{since[1]} or newer"
        yield Fault(definition.path, line, 1, message, hint)


def dockerfile_faults(file: EnvironmentFile) -> Iterator[Fault]:
    """What is asked of the image, and the repository's own template of Dockerfiles leaves out."""
    template, definition = file.dockerfile, file.definition
    if not file.is_whole or template is None or definition is None:
        return
    yield from template.faults()
    hint = f"let {template.path} use it, as the one does that 'jc' comes with, or remove this"
    for variable, asked in _asked(file).items():
        if variable not in template.uses:
            message = f"this has no effect: {template.path} does not use {variable!r}"
            yield replace(asked, message=message, hint=hint)


def _asked(file: EnvironmentFile) -> dict[str, Fault]:
    """The variables of the template that a definition needs, each with the place where something is asked for."""
    definition, merged = file.definition, file.merged
    if definition is None:
        return {}
    own = file.document
    places: dict[str, tuple[Any, Fault]] = {
        "recipes": (tuple(recipe_folders(merged, "")), file.fault_of_merged(("repos",), "")),
        "asked": (
            read_container_section(merged.get("container")).packages,
            file.fault_of_merged(("container", "os_packages", "final"), ""),
        ),
        "files": (definition.files, own.fault(("spacktainer", "files"), "", of_key=True)),
        "source_builds": (definition.source_builds, own.fault(("spacktainer", "source_builds"), "", of_key=True)),
        "host_libraries": (
            definition.host_libraries,
            own.fault(("spacktainer", "host_libraries"), "", of_key=True),
        ),
        "epilogue": (definition.epilogue, Fault(definition.epilogue or "", 1, 1, "")),
    }
    return {variable: fault for variable, (asked, fault) in places.items() if asked}
