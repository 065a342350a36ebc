"""Small repositories with one definition, and what `jc check` says of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from foundation.errors import InvalidInputError
from foundation.yaml_io import parse
from job_creator.engines.gitlab.base_pipeline import Inputs, plan
from job_creator.images.base_images import ImageSources
from job_creator.images.knowledge import Knowledge
from job_creator.inputs import Written, read_all
from job_creator.project_files import BASE_IMAGES
from job_creator.site.run import Context
from tests.samples import DEFAULT_BRANCH, SITE, TEMPLATE, write_repository

DEFINITION = "container_definitions/amd64/tool-set.yaml"
FOLDER = "container_definitions/amd64/tool-set"


def site_of(line: str) -> str:
    """The sample site, built with another release line of Spack."""
    if line.startswith("0."):
        recipes = "  packages: {repository: https://git.example.org/spack-packages.git, ref: v2025.11.0}\n"
        return SITE.replace("v1.1.0", f"v{line}.0").replace(recipes, "")
    return SITE.replace("v1.1.0", f"v{line}.0")


def written(root: Path, files: Mapping[str, str], *, template: str = TEMPLATE, line: str = "1.1") -> Written:
    """A repository with these files, read."""
    write_repository(root, {"spack.yaml": template, **files}, site_of(line))
    return read_all(root, "spacktainers.yaml")


def faults(root: Path, definition: str, *, template: str = TEMPLATE, line: str = "1.1", **more: str) -> list[str]:
    """What is wrong with a definition, without its path; nothing if it is valid."""
    try:
        written(root, {DEFINITION: definition, **more}, template=template, line=line)
    except InvalidInputError as error:
        return [str(fault).replace(DEFINITION, "here") for fault in error.faults]
    return []


def fault(root: Path, definition: str, *, template: str = TEMPLATE, line: str = "1.1") -> str:
    """The one thing that is wrong."""
    found = faults(root, definition, template=template, line=line)
    if len(found) != 1:
        pytest.fail(f"not one fault but {found}")
    return found[0]


def merged(found: Written, name: str = "tool-set") -> dict[str, Any]:
    """The environment that is made of a definition."""
    inputs = Inputs(
        site=found.site,
        context=Context.from_environment(DEFAULT_BRANCH),
        template=found.template,
        definitions=found.definitions,
        sources=ImageSources(dict.fromkeys(BASE_IMAGES, ""), "c" * 40, "d" * 40),
    )
    built = plan(inputs, Knowledge(None)).environments[f"merged_spack_{name}_amd64.yaml"]
    section = built["spack"]
    assert isinstance(section, dict)
    return section


def values(text: str) -> Any:
    """YAML as values."""
    return parse(text.encode(), "text").value
