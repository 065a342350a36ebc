"""The JSON Schemas of what users write. The files beside this one are printed copies for editors."""

from __future__ import annotations

from typing import Any

from job_creator.definition_file import DefinitionFile
from job_creator.site import Site
from job_creator.validation import json_schema


def schema(which: str) -> dict[str, Any]:
    """The JSON Schema (2020-12) of the `site` file or of a container `definition`."""
    if which == "site":
        result = json_schema(Site, "spacktainers site file")
        result["patternProperties"] = {"^\\.": {"description": "Holds anchors only."}}
        return result
    return json_schema(DefinitionFile, "spacktainers container definition")
