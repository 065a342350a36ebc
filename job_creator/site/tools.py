"""The images that jobs run in and that containers are made with, and the tools in them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, model_validator

from foundation.registries.reference import parse_reference
from foundation.validation import Value
from job_creator.site.words import Text, Url

SOURCE_DATE_EPOCH: Final = 315_619_200
"""The time of everything in an image, and of the image: 2 January 1980, the first that ZIP files know in all zones.

A fixed one, since a time is nothing that an image is made from: the same inputs make the same image, whenever that is.
"""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_SNAPSHOT = re.compile(r"[0-9]{8}T[0-9]{6}Z(/[A-Za-z0-9._+~-]+)+")


def _image(text: str) -> str:
    parse_reference(text)
    return text


def _sha256(text: str) -> str:
    if not _SHA256.fullmatch(text):
        raise ValueError("{name} must be the 64 hex digits of a sha256 checksum")
    return text


def _snapshot(text: str) -> str:
    if not _SNAPSHOT.fullmatch(text) or ".." in text.split("/"):
        raise ValueError("{name} must be a time and a path, such as 20260301T000000Z/pool/main/a/app/app_1_amd64.deb")
    return text


Image = Annotated[str, AfterValidator(_image)]


class Tool(Value):
    """A program that is put into an image, by version and, where known, checksum of each architecture's package."""

    version: Text
    """Release, as the program itself spells it."""
    sha256: Mapping[str, Annotated[str, AfterValidator(_sha256)]] = {}
    """Checksum of the package by OCI's name of the architecture: 64 hexadecimal digits."""
    url: Mapping[str, Url] = {}
    """Where the package is, by OCI's name of the architecture, if not among the project's releases."""
    snapshot: Mapping[str, Annotated[str, AfterValidator(_snapshot)]] = {}
    """Where it is in the distribution's archive of snapshots, by OCI's name of the architecture: time and path there,
    such as `20260301T000000Z/pool/main/…`. Debian's images name that archive beside their package sources; needs a
    checksum."""

    @model_validator(mode="after")
    def _is_in_one_place_and_known(self) -> Tool:
        for architecture in self.snapshot:
            if architecture in self.url:
                raise ValueError(f"'url' and 'snapshot' both say where the package for {architecture} is")
            if architecture not in self.sha256:
                raise ValueError(f"what an archive has for {architecture} needs its checksum, below 'sha256'")
        return self


class BaseImage(Value):
    """What a base image is built on."""

    base: Image = "docker.io/library/ubuntu:24.04"
    """The image that it starts from."""


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
