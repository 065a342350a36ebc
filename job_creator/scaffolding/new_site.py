"""The files of a new site, from a few answers. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from job_creator import project_files
from job_creator.pipelines.base import schema_text
from job_creator.scaffolding.new_definition import DEFINITION_SCHEMA, definition_path, from_specs
from job_creator.schemas import schema
from job_creator.scripts.rendering import render

TARGETS: Final = {"amd64": "x86_64_v3", "arm64": "armv8.2a"}
"""The architectures that a new site may begin with, and the Spack target of each that is asked for."""
FIRST_SPEC: Final = "zlib-ng@2.2.4"
"""What the first container of an empty folder has: one small package."""
_EDITOR_SETTINGS: Final = """\
{
  "yaml.schemas": {
    "./schemas/site.schema.json": "spacktainers.yaml",
    "./schemas/definition.schema.json": "container_definitions/*/**/*.{yaml,yml}"
  }
}
"""
_IGNORED: Final = (
    "/generated_pipeline.yaml",
    "/merged_spack_*.yaml",
    "/spacktainers.defaults/",
    "/spacktainers.programs/",
    "/spack.artifacts.*",
    "/spacktainer.artifacts.*",
    "/jobs_scratch_dir.*",
    "/build.env",
    "/build/",
    "/.ga/",
    "/.package_index/",
)
"""What `jc` and `ga` write into a checkout."""


@dataclass(frozen=True, slots=True)
class SiteAnswers:
    """What has to be known of a new site; everything else has a default."""

    architecture: str
    """One of `TARGETS`."""
    runner_tags: tuple[str, ...]
    target: str
    compiler: str
    cache_bucket: str
    endpoint: str = ""
    """URL of the S3 server; empty for Amazon's."""
    containers_bucket: str = ""
    """Where SIF files go; empty if none are wanted."""
    signed: bool = True
    """Whether packages are signed, for which there has to be a key."""


def site_files(answers: SiteAnswers, requirement: str) -> dict[str, bytes]:
    """The files by their paths, but for definitions, `.gitignore`, and the parent pipeline, which follows from all.

    `requirement` is what jobs install to have `jc`, `ga` and `spackitor`, as pip takes it.
    """
    architecture = {"name": answers.architecture, "runner_tags": answers.runner_tags, "target": answers.target}
    site = render(
        "new_site.yaml.j2",
        architectures=[architecture],
        compiler=answers.compiler,
        cache_bucket=answers.cache_bucket,
        containers_bucket=answers.containers_bucket,
        endpoint=answers.endpoint,
        signed=answers.signed,
    )
    pinned = f"# What jobs install where their image lacks the commands.\n{requirement}\n"
    return {
        project_files.SITE_FILE: site.encode(),
        project_files.REQUIREMENTS_FILE: pinned.encode(),
        "schemas/site.schema.json": schema_text(schema("site")).encode(),
        DEFINITION_SCHEMA: schema_text(schema("definition")).encode(),
        ".vscode/settings.json": _EDITOR_SETTINGS.encode(),
    }


def first_container(answers: SiteAnswers, name: str, environment: bytes | None) -> dict[str, bytes]:
    """The first definition: an `environment` that is there already, as it is, or one with a small package."""
    path = definition_path(name, answers.architecture)
    return {path: from_specs([FIRST_SPEC], DEFINITION_SCHEMA) if environment is None else environment}


def ignoring(existing: str) -> bytes:
    """A `.gitignore` with all that it has, and what a site has to leave out of commits."""
    lines = existing.splitlines()
    missing = [line for line in _IGNORED if line not in lines]
    return "".join(f"{line}\n" for line in (*lines, *missing)).encode()
