"""The JSON Schemas of what users write. The files beside this one are printed copies for editors."""

from __future__ import annotations

from typing import Any

from foundation.validation import json_schema
from job_creator.definitions.file import DefinitionFile
from job_creator.site.site import Site


def schema(which: str) -> dict[str, Any]:
    """The JSON Schema (2020-12) of the `site` file or of a container `definition`."""
    if which == "site":
        result = json_schema(Site, "spacktainers site file")
        result["patternProperties"] = {"^\\.": {"description": "Holds anchors only."}}
        return result
    result = json_schema(DefinitionFile, "spacktainers container definition")
    environment = result["$defs"]["SpackEnvironment"]
    # What selects packages need not name any.
    needed = {"required": environment.pop("required"), "properties": {"specs": {"minItems": 1}}}
    del environment["properties"]["specs"]["minItems"]
    result["if"] = {
        "required": ["spacktainer"],
        "properties": {"spacktainer": {"required": ["select"], "properties": {"select": {"type": "object"}}}},
    }
    result["else"] = {"properties": {"spack": needed}}
    return result
