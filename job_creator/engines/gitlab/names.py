"""Names that cross a boundary: of jobs, stages and files that another pipeline, job or tool looks up.

Whoever needs one of them imports it from here; none is spelled twice.
"""

from __future__ import annotations

from typing import Final

GENERATED_PIPELINE: Final = "generated_pipeline.yaml"
CONTAINER_PIPELINE: Final = "spacktainer_pipeline.yaml"
PACKAGE_PIPELINE: Final = "spack_pipeline.yaml"


PARENT_PIPELINE: Final = ".gitlab-ci.yml"
UNIT_TESTS: Final = "unit tests"
PACKAGE_NAMES: Final = "check names of packages"
GENERATE_BASE_PIPELINE: Final = "generate base pipeline"
BASE_BRIDGE: Final = "base containers and pipeline generation"
"""The parent's trigger job, whose child is the base pipeline."""
GATHER: Final = "gather child artifacts"
"""The parent's job that brings up what the base pipeline left; triggers take their YAML from it."""
DOTENV_FILE: Final = "build.env"
"""The dotenv report in which `ga` says what came of which architecture."""

STAGE_IMAGES: Final = "base images"
STAGE_INDEXES: Final = "image indexes"
STAGE_ENVIRONMENTS: Final = "environments"
STAGE_COLLECT: Final = "collect environments"
STAGE_PIPELINES: Final = "pipelines"
STAGE_MIRRORS: Final = "mirrors"
STAGE_CLEAN: Final = "clean"
STAGE_CONTAINERS: Final = "containers"
STAGE_SIF: Final = "sif files"
STAGE_TAGS: Final = "tags"
STAGE_PUBLISH: Final = "publish"
CONTAINER_STAGES: Final = (STAGE_CONTAINERS, STAGE_SIF, STAGE_TAGS, STAGE_PUBLISH)
BASE_STAGES: Final = (
    STAGE_IMAGES,
    STAGE_INDEXES,
    STAGE_ENVIRONMENTS,
    STAGE_COLLECT,
    STAGE_PIPELINES,
    STAGE_MIRRORS,
    STAGE_CLEAN,
)


def populate_bridge(architecture: str) -> str:
    """The parent's trigger job whose child builds packages."""
    return f"populate buildcache for {architecture}"


def containers_bridge(architecture: str) -> str:
    """The parent's trigger job whose child builds containers."""
    return f"build spacktainers for {architecture}"


def clean_branches_job(place: str) -> str:
    """The parent's job that removes what deleted branches left in a bucket or on a cluster."""
    return f"cleanup deleted branch containers on {place}"


def build_image_job(image: str, architecture: str) -> str:
    """The job that builds and pushes one base image."""
    return f"build {image} for {architecture}"


def sign_job(image: str, architecture: str) -> str:
    """The job that signs where the image of a base image or a container comes from."""
    return f"sign {image} for {architecture}"


def image_index_job(image: str, *, several: bool) -> str:
    """The job that joins the images of all architectures under one tag; with one architecture it only sets the tag."""
    return f"create multiarch for {image}" if several else f"tag {image}"


def environment_job(container: str, architecture: str) -> str:
    """The job that concretizes a container's environment and runs `spack ci generate`."""
    return f"generate build cache population job for {container} for {architecture}"


def collect_job(number: str, architecture: str) -> str:
    """A job that gathers the environments of several others, where one job may not need them all."""
    return f"collect environments {number} for {architecture}"


def process_job(architecture: str) -> str:
    """The job that turns what Spack generated into the pipeline that populates the build cache."""
    return f"process spack pipeline for {architecture}"


def report_job(architecture: str) -> str:
    """The job that reports what is going to be built."""
    return f"report packages for {architecture}"


def report_folder(architecture: str) -> str:
    """The folder of that report, which the job keeps."""
    return f"report.{architecture}"


def containers_job(architecture: str) -> str:
    """The job that writes the pipeline of the containers."""
    return f"generate spacktainer jobs for {architecture}"


def mirror_job(architecture: str) -> str:
    """The job that fills the source mirror."""
    return f"mirror sources for {architecture}"


def clean_job(architecture: str) -> str:
    """The job that prunes the build cache."""
    return f"clean build cache for {architecture}"


def build_container_job(container: str, architecture: str) -> str:
    """The job that builds a container, tests it and pushes it."""
    return f"build {container} container for {architecture}"


def take_container_job(container: str, architecture: str) -> str:
    """The job that gives a container's image, which is there already, the tags of this run."""
    return f"take {container} container for {architecture}"


def sif_job(container: str, architecture: str) -> str:
    """The job that makes the SIF file of a container, tests it and puts it into the containers bucket."""
    return f"create {container} sif file for {architecture}"


def sign_sif_job(container: str, architecture: str) -> str:
    """The job that signs the SIF file of a container, and puts it into the containers bucket."""
    return f"sign {container} sif file for {architecture}"


def docker_hub_job(container: str, architecture: str) -> str:
    """The job that copies a container to Docker Hub."""
    return f"publish {container} on Docker Hub from {architecture}"


def cluster_job(container: str, cluster: str) -> str:
    """The job that installs the SIF file of a container on a cluster."""
    return f"download {container} SIF to {cluster}"


NOTHING_TO_DO: Final = "no containers to rebuild"
"""The only job of a container pipeline where everything is up to date."""


def package_artifacts(architecture: str) -> str:
    """The folder that the package pipeline of an architecture is handed on in."""
    return f"spack.artifacts.{architecture}"


def container_artifacts(architecture: str) -> str:
    """The folder that the container pipeline of an architecture is handed on in."""
    return f"spacktainer.artifacts.{architecture}"


HASH_VARIABLE: Final = "SPACK_JOB_SPEC_DAG_HASH"
NAME_VARIABLE: Final = "SPACK_JOB_SPEC_PKG_NAME"
ARTIFACTS_VARIABLE: Final = "SPACK_ARTIFACTS_ROOT"
VERSION_VARIABLE: Final = "SPACK_JOB_SPEC_PKG_VERSION"
"""The variables in which `spack ci generate` tells a job its package (Spack, lib/spack/spack/ci/__init__.py)."""
