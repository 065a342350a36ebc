"""The jobs that build base images and set their tags."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from job_creator.engines.gitlab import names
from job_creator.engines.gitlab.objects import Artifacts, Job, Need
from job_creator.images.base_images import DecidedImage, PlannedImage
from job_creator.provenance.statements import StatementKind
from job_creator.scripts.rendering import render
from job_creator.site.architectures import Architecture
from job_creator.site.run import PARENT_PIPELINE_ID
from job_creator.site.site import Site
from job_creator.site.tools import SOURCE_DATE_EPOCH

COMPILERS_FILE: Final = "/opt/spack-compilers.txt"
"""Where the builder image says which compilers it found (builder/Dockerfile); a label says so, too."""


def build_job(decided: DecidedImage, architecture: Architecture, site: Site) -> Job:
    """The job that builds and pushes a base image, and leaves its digest for others."""
    image = decided.image
    dotenv = f"{image.name}_{image.architecture}.env"
    script = render(
        "build_image.sh.j2",
        registry=site.registry,
        epoch=SOURCE_DATE_EPOCH,
        variables=architecture.seen_by_foreign_code("images"),
        arguments=image.build_arguments,
        labels={**image.labels, f"{site.registry.label_prefix}.fingerprint": image.fingerprint},
        digest_variable=digest_variable(image),
        dotenv=dotenv,
        public_key_variable=site.signing.public_key_variable if image.name == "builder" else None,
        compilers_file=COMPILERS_FILE if image.name == "builder" else None,
        # What the one compiles has to run in the other.
        libc_label=image.libc_label if image.name in ("builder", "runtime") else None,
        libc_variable=libc_variable(image),
    )
    return Job(
        name=names.build_image_job(image.name, image.architecture),
        kind=f"image {image.architecture}",
        stage=names.STAGE_IMAGES,
        image=site.images.buildah.image,
        tags=architecture.tags("images"),
        # The checkout has no such folder; what writes the pipeline leaves it.
        needs=(Need(names.GENERATE_BASE_PIPELINE, pipeline=f"${PARENT_PIPELINE_ID}"),) if image.is_default else (),
        script=(script,),
        variables={
            **architecture.job_variables("images"),
            **site.images.buildah.variables(),
            "IMAGE": image.reference,
            "FOLDER": image.folder,
            "ARCHITECTURE": image.platform,
        },
        artifacts=Artifacts(expire_in=site.gitlab.artifact_expiry, dotenv=dotenv),
        timeout=architecture.settings("images").timeout or "2 hours",
        # One at a time where two pipelines push the same tag.
        resource_group=f"{image.name} {image.architecture}",
    )


def pinned(decided: DecidedImage) -> str:
    """The image by its digest: the one that is known, or that which reaches a job from the one that builds it.

    GitLab expands variables of dotenv reports in `image:` and `variables:` of jobs that need the one which reports.
    """
    return decided.found.image or f"{decided.image.repository}@${digest_variable(decided.image)}"


def libc_variable(image: PlannedImage) -> str:
    """The variable in which the C library of an image reaches later jobs, `glibc@2.36`; empty where it is unknown."""
    return f"{image.name}_{image.architecture}_LIBC".upper()


def needs_of(*images: DecidedImage) -> tuple[Need, ...]:
    """What a job needs that uses images: the jobs that build them, and leave their digests."""
    return tuple(Need(names.build_image_job(one.image.name, one.image.architecture)) for one in images if one.is_built)


def sign_job(decided: DecidedImage, architecture: Architecture, site: Site) -> Job:
    """The job that signs which image was built from what; it runs nothing of the image, and none of its build."""
    image = decided.image
    return Job(
        name=names.sign_job(image.name, image.architecture),
        kind="sign",
        stage=names.STAGE_INDEXES,
        image=site.images.job_creator,
        tags=architecture.tags("tools"),
        needs=needs_of(decided),
        script=(render("install_job_creator.sh.j2", command="jc"), render("sign_image.sh.j2", attaches=False)),
        variables={
            **architecture.job_variables("tools"),
            "IMAGE": pinned(decided),
            "KIND": str(StatementKind.BASE_IMAGE),
            "ARCHITECTURE": image.architecture,
            "FINGERPRINT": image.fingerprint,
        },
        timeout="30 minutes",
        interruptible=False,
    )


def index_job(
    images: Collection[DecidedImage],
    architecture: Architecture,
    site: Site,
    moving_tag: str,
    signing: Collection[str] = (),
) -> Job:
    """The job that lets the moving tag point to the images of all architectures, by their digests.

    `signing` are the jobs that sign some of them: what cannot be signed gets no such tag.
    """
    first = next(iter(images)).image
    known = {digest_variable(decided.image): decided.digest for decided in images if decided.digest}
    digests = [f"${digest_variable(decided.image)}" for decided in images]
    return Job(
        name=names.image_index_job(first.name, several=len(images) > 1),
        kind="index",
        stage=names.STAGE_INDEXES,
        image=site.images.job_creator,
        tags=architecture.tags("tools"),
        needs=(*needs_of(*images), *(Need(job, artifacts=False) for job in signing)),
        script=(
            render("install_job_creator.sh.j2", command="jc"),
            render("tag_image.sh.j2", digests=digests),
        ),
        variables={
            **architecture.job_variables("tools"),
            "IMAGE": f"{first.repository}:{moving_tag}",
            **known,
        },
        timeout="30 minutes",
        interruptible=False,
        resource_group=f"{first.name} {moving_tag}",
    )


def digest_variable(image: PlannedImage) -> str:
    """The variable in which the digest of a built image reaches later jobs."""
    return f"{image.name}_{image.architecture}_DIGEST".upper()
