"""A new definition of a container, as text. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from foundation.yaml_io import dump
from job_creator.project_files import DEFINITIONS_FOLDER

DEFINITION_SCHEMA: Final = "schemas/definition.schema.json"
"""Where a site that is no fork keeps the schema that editors check definitions with."""


def definition_path(name: str, architecture: str, *, wraps_image: bool = False) -> str:
    """Where a definition lies in a repository."""
    return f"{DEFINITIONS_FOLDER}/{architecture}/{name}.{'def' if wraps_image else 'yaml'}"


def from_specs(specs: Sequence[str], schema: str = "") -> bytes:
    """A container with these specs, the first of which gives it its version. Editors find the `schema`, if any."""
    header = f"yaml-language-server: $schema=../../{schema}" if schema else ""
    return dump({"spack": {"specs": list(specs)}}, header).encode()


def from_image(reference: str) -> bytes:
    """A container that wraps an image of a registry."""
    return f"Bootstrap: docker\nFrom: {reference}\n".encode()
