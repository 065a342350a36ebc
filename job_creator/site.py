"""The site file `spacktainers.yaml`: everything that a fork has to say, as frozen, validated values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from job_creator.architectures import Architecture, Duration, Text, Url, VariableName, url_without_credentials
from job_creator.errors import Fault, InvalidInputError
from job_creator.image_reference import is_host, parse_reference
from job_creator.spack_line import SpackLine, line_of_ref
from job_creator.validation import Form, Items, Value, validate
from job_creator.yaml_io import Document

_REF = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/+-]*")
_LABEL_PREFIX = re.compile(r"[a-z0-9]+([.-][a-z0-9]+)*")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def _git_url(text: str) -> str:
    if text.startswith(("http://", "https://")):
        return url_without_credentials(text)
    if not re.fullmatch(r"(ssh://|file://|[\w.-]+@[\w.-]+:|/)[^\s]+", text):
        raise ValueError(f"{text!r} is no git URL")
    return text


def _git_ref(text: str) -> str:
    if not _REF.fullmatch(text) or ".." in text:
        raise ValueError(f"{text!r} is no branch, tag or commit")
    return text


def _image(text: str) -> str:
    parse_reference(text)
    return text


def _repository(text: str) -> str:
    group = text.rstrip("/")
    if "/" not in group and is_host(group):
        raise ValueError(f"{group!r} is a registry, and names no group in it; write for example '{group}/containers'")
    reference = parse_reference(group)
    if reference.digest or ":" in group.rpartition("/")[2]:
        raise ValueError("{name} must name a group of images, without tag or digest")
    return group


def _label_prefix(text: str) -> str:
    if not _LABEL_PREFIX.fullmatch(text):
        raise ValueError(f"{text!r} is no label prefix; write a reversed domain such as 'org.example.containers'")
    return text


def _sha256(text: str) -> str:
    if not _SHA256.fullmatch(text):
        raise ValueError("{name} must be the 64 hex digits of a sha256 checksum")
    return text


GitUrl = Annotated[str, AfterValidator(_git_url)]
GitRef = Annotated[str, AfterValidator(_git_ref)]
Image = Annotated[str, AfterValidator(_image)]


class Registry(Value):
    """Where images are pushed to."""

    image: Annotated[str, AfterValidator(_repository)] | None = None
    """Registry and group that the images are put under; by default the project's own (`$CI_REGISTRY_IMAGE`)."""
    user_variable: VariableName = "CI_REGISTRY_USER"
    """Name of the CI variable with the user that may push there."""
    password_variable: VariableName = "CI_REGISTRY_PASSWORD"
    """Name of the CI variable with that user's password."""
    label_prefix: Annotated[str, AfterValidator(_label_prefix)] = "org.spacktainers"
    """Prefix of the labels in which images say what they were built from."""


class GitSource(Value):
    """A git repository at one of its refs."""

    repository: GitUrl
    ref: GitRef


class Spack(Value):
    """Which Spack builds everything, and for Spack 1.0 and newer, with which package repository."""

    repository: GitUrl = "https://github.com/spack/spack.git"
    ref: GitRef
    """Branch, tag or commit."""
    version: Text | None = None
    """Release line such as `"1.1"`, needed where `ref` does not say it."""
    packages: GitSource | None = None
    """Package repository; Spack 0.23 and older bring their own."""

    @model_validator(mode="after")
    def _check(self) -> Spack:
        line = self.line
        if line.recipes_apart and not self.packages:
            raise ValueError(f"Spack {line} has its recipes in a repository of its own; add 'packages:' with its ref")
        if not line.recipes_apart and self.packages:
            raise ValueError(f"Spack {line} brings its own recipes; remove 'packages:'")
        return self

    @property
    def line(self) -> SpackLine:
        """The release line. Raises `ValueError` when it is unknown or unsupported."""
        return SpackLine.parse(self.version) if self.version else line_of_ref(self.ref)


class Tool(Value):
    """A program that is put into an image, by version and, where known, checksum of each architecture's package."""

    version: Text
    sha256: Mapping[str, Annotated[str, AfterValidator(_sha256)]] = {}
    url: Mapping[str, Url] = {}
    """Where the package of an architecture is, if not among the project's releases."""


class BaseImage(Value):
    """What a base image is built on."""

    base: Image = "docker.io/library/ubuntu:24.04"


class Singularitah(BaseImage):
    """The image that converts and publishes containers."""

    apptainer: Tool = Tool(version="1.4.5")
    singularity_ce: Tool | None = None
    """SingularityCE instead of Apptainer."""
    s3cmd: Tool = Tool(version="2.4.0")


class Buildah(Value):
    """What images are built with."""

    image: Image = "quay.io/buildah/stable:v1.41.5"
    """Has buildah 1.28 or newer."""
    isolation: Literal["chroot", "oci", "rootless"] = "chroot"
    """How build steps are separated from the job (`buildah build --isolation`); `chroot` needs no privileges."""
    storage_driver: Literal["vfs", "overlay"] = "vfs"
    """How layers are stored; `overlay` is faster where the runner has fuse or privileges."""

    def variables(self) -> dict[str, str]:
        """The variables that buildah reads. OCI's own image format knows neither SHELL nor ONBUILD."""
        return {
            "BUILDAH_ISOLATION": self.isolation,
            "STORAGE_DRIVER": self.storage_driver,
            "BUILDAH_FORMAT": "docker",
        }


class Images(Value):
    """The base images, and the images that jobs of this project run in."""

    builder: BaseImage = BaseImage()
    runtime: BaseImage = BaseImage()
    singularitah: Singularitah = Singularitah()
    buildah: Buildah = Buildah()
    skopeo: Image = "quay.io/skopeo/stable:v1.18.0"
    """Has skopeo; copies images to Docker Hub."""
    job_creator: Image = "docker.io/library/python:3.12-bookworm"
    """Has Python, git and make; runs the commands of this project, which are installed where the image lacks them."""


class Signing(Value):
    """Names of the CI variables, of type file, that hold the key pair which packages are signed with."""

    private_key_variable: VariableName = "SPACK_DEPLOYMENT_KEY_PRIVATE"
    public_key_variable: VariableName = "SPACK_DEPLOYMENT_KEY_PUBLIC"


class DockerHub(Value):
    """Publishing on Docker Hub."""

    namespace: Annotated[str, Form(r"^[a-z0-9]{2,255}$", "a name on Docker Hub: lower case letters and digits")]
    user_variable: VariableName = "DOCKERHUB_USER"
    password_variable: VariableName = "DOCKERHUB_PASSWORD"


class Cluster(Value):
    """A file system that SIF files are installed on, by a runner that sees it."""

    directory: Annotated[str, Form(r"^/[^\s]+$", "an absolute path without spaces, such as /shared/containers")]
    runner_tags: Items[Text]
    architecture: Text = "amd64"
    setup: str = ""
    """Shell lines that run first, for example to load a module with Python 3.11 or newer."""
    keep: Annotated[int, Field(ge=0)] = 2
    """How many previous files of a container stay, for jobs that still run from them."""


ClusterName = Annotated[
    str, Form(r"^[a-z0-9][a-z0-9-]*$", "a name of lower case letters, digits and '-', such as 'cluster-1'")
]


class Publish(Value):
    """Where containers go besides the registry and the containers bucket."""

    dockerhub: DockerHub | None = None
    clusters: Mapping[ClusterName, Cluster] = {}


Count = Annotated[int, Field(ge=1)]


class Limits(Value):
    """What GitLab accepts; the defaults are those of a self-managed GitLab 17.3 or newer.

    Source: GitLab docs, "CI/CD limits" and "CI/CD YAML syntax reference".
    """

    max_yaml_bytes: Count = 2 * 1024 * 1024
    """`max_yaml_size_bytes`: memory of one parsed file, not its size on disk; 1 MiB before GitLab 17.3."""
    max_yaml_depth: Count = 100
    max_needs: Annotated[int, Field(ge=3)] = 50
    """`ci_needs_size_limit`; with fewer than 3 no graph could be written."""
    max_artifact_bytes: Count = 5 * 1024 * 1024
    """Size of the artifacts archive, and of the YAML file in it, that a trigger may include."""
    max_jobs: Count | None = None
    """`ci_pipeline_size`, where the server sets it."""
    max_child_depth: Count = 2
    max_matrix: Count = 200
    """Jobs that one `parallel:matrix` may expand to."""


class GitLab(Value):
    """The server."""

    api_token_variable: VariableName = "GITLAB_API_TOKEN"
    """CI variable with a token that may read the API; needed where the job's own token may not list pipelines."""
    artifact_expiry: Duration = "2 weeks"
    """How long generated pipelines and environments are kept; retrying a job needs them."""
    unit_tests: bool = True
    """Whether pipelines run the tests of this project where its code changed; for forks that change none of it."""
    pull_policy: Literal["always", "if-not-present", "never"] | None = None
    """When runners pull the images of package jobs; by default what the runner is set to."""
    limits: Limits = Limits()


class Site(Value):
    """The whole site file."""

    registry: Registry = Registry()
    spack: Spack
    images: Images = Images()
    signing: Signing = Signing()
    architectures: Annotated[Mapping[str, Architecture], Field(min_length=1)]
    publish: Publish = Publish()
    gitlab: GitLab = GitLab()


def read_site(document: Document) -> Site:
    """The site that a document describes. Top-level keys that start with a dot only hold anchors, as in GitLab.

    Raises `InvalidInputError` with every fault.
    """
    value: Any = document.value
    if isinstance(value, dict):
        value = {key: inner for key, inner in value.items() if not key.startswith(".")}
    site = validate(Site, Document(document.path, value, document.values, document.keys))
    faults = list(_cluster_faults(site, document))
    if faults:
        raise InvalidInputError(faults)
    return site


def _cluster_faults(site: Site, document: Document) -> list[Fault]:
    return [
        document.fault(
            ("publish", "clusters", name, "architecture"),
            f"cluster {name!r} has the architecture {cluster.architecture!r}, which this site lacks",
            f"known here: {', '.join(site.architectures)}",
        )
        for name, cluster in site.publish.clusters.items()
        if cluster.architecture not in site.architectures
    ]
