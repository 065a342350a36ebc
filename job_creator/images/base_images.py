"""Base images: what each is built from, whether that is published, and the jobs for it."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from foundation.fingerprints import fingerprint
from foundation.registries.published import Query
from job_creator import project_files
from job_creator.environments.setting import mirror
from job_creator.images.decisions import NOT_PUBLISHED, Action, Decision, Subject, compare_labels
from job_creator.images.knowledge import ImagePlace, Judgement, Knowledge, Trust, WantedImage
from job_creator.provenance.namespaces import Namespace, content_tag
from job_creator.provenance.statements import StatementKind
from job_creator.site.site import Site
from job_creator.site.tools import Tool

RECIPE_VERSION: Final = "3"
"""To be raised whenever the jobs below build something else from the same inputs."""


@dataclass(frozen=True, slots=True)
class ImageSources:
    """What the base images are made from besides the site file."""

    folders: Mapping[str, str]
    """Fingerprint of each base image's folder, by its name."""
    spack_commit: str
    packages_commit: str | None = None
    defaults: Collection[str] = ()
    """The base images whose folder is not the repository's."""
    public_key: str = ""
    """sha256 of the key that packages are verified with; empty where there is none."""


@dataclass(frozen=True, slots=True)
class PlannedImage:
    """One base image for one architecture, as it has to be."""

    name: str
    architecture: str
    """The site's name of it."""
    platform: str
    """OCI's name of it."""
    namespace: Namespace
    """Where it goes if this run builds it."""
    build_arguments: Mapping[str, str]
    labels: Mapping[str, str]
    """What identifies it: everything that it is built from."""
    is_default: bool = False
    """Whether its folder is not the repository's, but comes with `jc`."""
    label_prefix: str = ""

    @property
    def libc_label(self) -> str:
        """The label that says which C library it has, `glibc@2.36`; known when it is built."""
        return f"{self.label_prefix}.libc"

    @property
    def repository(self) -> str:
        """The repository that it goes to if this run builds it."""
        return self.namespace.repository(self.name)

    @property
    def fingerprint(self) -> str:
        """Of everything that it is built from."""
        return fingerprint(self.labels)

    @property
    def tag(self) -> str:
        """The immutable tag, derived from what the image is built from."""
        return content_tag(self.repository, self.fingerprint, self.architecture)

    @property
    def reference(self) -> str:
        """Where the image goes if this run builds it."""
        return f"{self.repository}:{self.tag}"

    @property
    def wanted(self) -> WantedImage:
        """What to look for, and where: branches take what the default branch has, which never reads what they have."""
        own = self.namespace
        read = {(own if own.is_default_branch else own.other): Trust.PROOF_WHERE_KEYS_ARE_KNOWN}
        if not own.is_default_branch:
            read[own] = Trust.LABELS
        repositories = {one.repository(self.name): trust for one, trust in read.items()}
        places = tuple(
            ImagePlace(where, content_tag(where, self.fingerprint, self.architecture), trust)
            for where, trust in repositories.items()
        )
        kind = StatementKind.BASE_IMAGE
        return WantedImage(kind, self.name, self.architecture, self.platform, self.labels, self.fingerprint, places)

    @property
    def folder(self) -> str:
        """Where the job that builds it finds what it is built from, seen from the checkout."""
        return f"{project_files.DEFAULTS_FOLDER}/{self.name}" if self.is_default else self.name


@dataclass(frozen=True, slots=True)
class DecidedImage:
    """A base image, what happens to it, and the digest where it is there already."""

    image: PlannedImage
    decision: Decision
    found: Judgement
    """The one that is there already, if there is one."""

    @property
    def digest(self) -> str | None:
        """Of the one that is there already."""
        return self.found.digest

    @property
    def libc(self) -> str:
        """The C library of one that is there, as its label says."""
        return self.found.published.labels.get(self.image.libc_label, "") if self.found.published else ""

    @property
    def is_elsewhere(self) -> bool:
        """Whether it is one of the default branch, in a run of another."""
        return self.found.place is not None and self.found.place.repository != self.image.repository

    @property
    def is_built(self) -> bool:
        """Whether this pipeline builds it."""
        return self.decision.action is Action.BUILD


def base_image(name: str, architecture: str, site: Site, sources: ImageSources, namespace: Namespace) -> PlannedImage:
    """What the base image `name` has to be for an architecture."""
    arguments = {"BASE_IMAGE": _base_of(name, site), **_own_arguments(name, architecture, site, sources)}
    prefix = site.registry.label_prefix
    inputs = {"files": sources.folders[name], "recipe_version": RECIPE_VERSION}
    if name == "builder" and sources.public_key:
        inputs["public_key"] = sources.public_key
    inputs |= {key.lower(): value for key, value in arguments.items()}
    labels = {f"{prefix}.{key}": value for key, value in inputs.items()}
    is_default = name in sources.defaults
    platform = site.platform(architecture)
    return PlannedImage(name, architecture, platform, namespace, arguments, labels, is_default, prefix)


def questions(images: Iterable[PlannedImage], moving_tag: str) -> tuple[Query, ...]:
    """What to ask the registry for: each image by its own tag, and what the moving tag points to."""
    return tuple(
        query
        for image in images
        for query in (*image.wanted.queries, Query(f"{image.repository}:{moving_tag}", image.platform))
    )


def decide(image: PlannedImage, knowledge: Knowledge, moving_tag: str) -> DecidedImage:
    """Whether the image has to be built, and why."""
    found = knowledge.judge(image.wanted)
    reason = found.reason
    if reason == NOT_PUBLISHED:
        # Its tag follows from what it is built from: what the last one was built from says what has changed.
        latest = knowledge.of(f"{image.repository}:{moving_tag}", image.platform)
        same, reason = compare_labels(image.labels, latest.labels if latest else None)
        reason = f"the tag {image.tag} is gone" if same is Action.REUSE else reason
    decision = Decision(Subject.BASE_IMAGE, image.name, image.architecture, found.action, reason)
    return DecidedImage(image, decision, found)


def decide_index(images: Collection[DecidedImage], knowledge: Knowledge, moving_tag: str) -> Decision:
    """Whether the moving tag of one base image has to be set anew, and why."""
    name = next(iter(images)).image.name

    def decided(action: Action, reason: str) -> Decision:
        return Decision(Subject.IMAGE_INDEX, f"{name}:{moving_tag}", "", action, reason)

    built = [decided_image.image.architecture for decided_image in images if decided_image.is_built]
    if built:
        return decided(Action.BUILD, f"new image for {' and '.join(built)}")
    for decided_image in images:
        image = decided_image.image
        tagged = knowledge.of(f"{image.repository}:{moving_tag}", image.platform)
        if tagged is None or tagged.digest != decided_image.digest:
            return decided(Action.BUILD, f"the tag does not point to the {image.architecture} image yet")
    return decided(Action.REUSE, "the tag points to these images")


def _base_of(name: str, site: Site) -> str:
    bases = {"builder": site.images.builder, "runtime": site.images.runtime, "singularitah": site.images.singularitah}
    return bases[name].base


def _own_arguments(name: str, architecture: str, site: Site, sources: ImageSources) -> dict[str, str]:
    if name == "builder":
        packages = site.spack.packages
        apart = (
            {"PACKAGES_REPOSITORY": packages.repository, "PACKAGES_COMMIT": sources.packages_commit or packages.ref}
            if packages
            else {}
        )
        cache = site.architectures[architecture].build_cache
        mirrors = {
            "mirrors:": {"build-cache": mirror(cache, site.spack.line, {"fetch": cache.reader}, signed=cache.signed)}
        }
        commits = {"SPACK_REPOSITORY": site.spack.repository, "SPACK_COMMIT": sources.spack_commit, **apart}
        return {**commits, "MIRRORS": json.dumps(mirrors)}
    if name == "singularitah":
        wanted = site.images.singularitah
        container_tool = wanted.singularity_ce or wanted.apptainer
        return {
            "CONTAINER_TOOL": "singularity-ce" if wanted.singularity_ce else "apptainer",
            **_tool("CONTAINER_TOOL", container_tool, site.platform(architecture)),
            **_tool("S3CMD", wanted.s3cmd, site.platform(architecture)),
        }
    return {}


def _tool(prefix: str, tool: Tool, platform: str) -> dict[str, str]:
    """The build arguments for a tool, without those that are not known."""
    values = {
        "VERSION": tool.version,
        "SHA256": tool.sha256.get(platform, ""),
        "URL": tool.url.get(platform, ""),
        "SNAPSHOT": tool.snapshot.get(platform, ""),
    }
    return {f"{prefix}_{name}": value for name, value in values.items() if value}
