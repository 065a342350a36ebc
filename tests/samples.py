"""Small repositories and sites for tests."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from foundation.registries.reference import parse_reference
from foundation.yaml_io import parse
from job_creator.definitions.definitions import Definition, ImportedDefinition, SpackDefinition
from job_creator.engines.gitlab.base_pipeline import Inputs
from job_creator.engines.gitlab.names import PARENT_PIPELINE
from job_creator.environments.container_section import ContainerSection
from job_creator.images.base_images import ImageSources
from job_creator.project_files import BASE_IMAGES, DEFINITIONS_FOLDER, SITE_FILE
from job_creator.site.run import Context
from job_creator.site.site import Site, read_site

REPOSITORY = Path(__file__).parent.parent
FROZEN_SITE = REPOSITORY / "tests" / "data" / "site"
"""A repository of a site, as this one was shipped at some time, but for what comes with `jc`.

Tests and the documentation are about it. What this repository itself ships is for each fork to change: that is for
`tests/test_shipped.py` alone.
"""
A_SITES_OWN = (SITE_FILE, PARENT_PIPELINE, DEFINITIONS_FOLDER, "spacktainer/files")
"""What of a repository is its own, and not the product's. (The template and what images are made from are both.)"""

SITE = """\
registry: {image: registry.example.org/group/containers}
spack:
  ref: v1.1.0
  packages: {repository: https://git.example.org/spack-packages.git, ref: v2025.11.0}
.settings: &settings
  compiler: gcc@13
architectures:
  amd64:
    <<: *settings
    runner_tags: [big]
    target: x86_64_v3
    proxy: {http: "http://proxy.example.org:3128", no_proxy: [localhost, .example.org]}
    build_cache: {bucket: cache-amd64, endpoint: "https://s3.example.org", max_age_days: 90}
    containers: {bucket: sifs}
  arm64:
    <<: *settings
    runner_tags: [graviton]
    build_cache: {bucket: cache-arm64, branches: {bucket: cache-branches, prefix: arm64}}
"""

TEMPLATE = """\
spack:
  concretizer: {unify: true, reuse: false}
  config:
    install_tree: {root: /opt/software, padded_length: 128}
  packages:
    all: {providers: {mpi: [mpich]}}
  view: /opt/view
"""

DEFAULT_BRANCH = {
    "CI_COMMIT_REF_NAME": "main",
    "CI_COMMIT_REF_SLUG": "main",
    "CI_DEFAULT_BRANCH": "main",
    "CI_COMMIT_SHA": "c0ffee",
}
BRANCH = {**DEFAULT_BRANCH, "CI_COMMIT_REF_NAME": "feature/X_1", "CI_COMMIT_REF_SLUG": "feature-x-1"}
MERGE_REQUEST = {**DEFAULT_BRANCH, "CI_MERGE_REQUEST_IID": "7", "CI_PIPELINE_SOURCE": "parent_pipeline"}

_DIGEST = "sha256:" + "0" * 64
PLAIN_DOCKERFILE: dict[str, Any] = {
    "builder": f"registry.example.org/builder@{_DIGEST}",
    "runtime": f"registry.example.org/runtime@{_DIGEST}",
    "lock": "jobs_scratch_dir.amd64/app/concrete_environment/spack.lock",
    "folder": "artifacts.amd64/app",
    "image_files": "spacktainer/image",
    "recipes": [],
    "asked": ContainerSection(),
    "secrets": [],
    "paths": ["/opt/software"],
    "path_directories": [],
    "files": [],
    "host_libraries": [],
    "source_builds": False,
    "check_signatures": True,
    "signed": True,
    "epilogue": None,
}
RICH_DOCKERFILE: dict[str, Any] = {
    **PLAIN_DOCKERFILE,
    "asked": ContainerSection(packages=("libgomp1", "tini")),
    "recipes": ["container_definitions/amd64/a b/recipes"],
    "secrets": ["ACCESS_KEY_ID", "SECRET_ACCESS_KEY"],
    "paths": ["/opt/software", "/opt/a view"],
    "path_directories": ["/opt/a view/bin", "/opt/other/bin"],
    "files": [{"source": "spacktainer/files/a b", "target": "/opt/c d"}],
    "source_builds": True,
    "host_libraries": ["libmpi.so.*"],
    "check_signatures": False,
    "signed": False,
    "epilogue": "RUN echo hello",
}
"""What a container's Dockerfile is rendered with, at least and at most."""


def site(text: str = SITE) -> Site:
    """A site from its YAML text."""
    return read_site(parse(text.encode(), "spacktainers.yaml"))


def two_zens() -> str:
    """A site with two architectures that are `amd64` for OCI."""
    return SITE.replace("  amd64:\n", "  zen4:\n    oci: amd64\n", 1).replace(
        "  arm64:\n", "  zen3:\n    oci: amd64\n", 1
    )


def spack_definition(name: str = "hdf5", architecture: str = "amd64") -> SpackDefinition:
    """A definition of one spec."""
    path = f"container_definitions/{architecture}/{name}.yaml"
    return SpackDefinition(name, architecture, path, {"specs": [name]})


def imported_definition(name: str = "nexus", architecture: str = "amd64") -> ImportedDefinition:
    """A definition that wraps an image."""
    path = f"container_definitions/{architecture}/{name}.def"
    text = "Bootstrap: docker\nFrom: group/nexus:1\n\n%startscript\n    serve\n"
    return ImportedDefinition(name, architecture, path, parse_reference("group/nexus:1"), text)


def inputs(
    *definitions: Definition, environment: Mapping[str, str] = DEFAULT_BRANCH, text: str = SITE, commit: str = "a" * 40
) -> Inputs:
    """What a plan is made from; without definitions, one for each architecture."""
    both = (spack_definition(), spack_definition(architecture="arm64"))
    return Inputs(
        site=site(text),
        context=Context.from_environment(environment),
        template=parse(TEMPLATE.encode(), "spack.yaml").value["spack"],
        definitions=definitions or both,
        sources=ImageSources({name: f"fingerprint of {name}" for name in BASE_IMAGES}, commit, "b" * 40),
    )


def write_repository(root: Path, files: Mapping[str, str] | None = None, text: str = SITE) -> Path:
    """A repository as users have it, with these files besides the site, the template and the image folders."""
    standard = {"spacktainers.yaml": text, "spack.yaml": TEMPLATE}
    standard |= {f"{name}/Dockerfile": "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\n" for name in BASE_IMAGES}
    definitions = {"container_definitions/amd64/hdf5.yaml": "spack:\n  specs: [hdf5]\n"}
    for name, content in {**standard, **(definitions if files is None else files)}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root
