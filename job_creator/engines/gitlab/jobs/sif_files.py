"""The jobs of one container's SIF file: they make it, copy it, sign it, and install it on clusters."""

from __future__ import annotations

from collections.abc import Sequence

from job_creator.containers.identity import UNPACKED_IMAGE, Container
from job_creator.definitions.header import BUILD_DATE
from job_creator.engines.gitlab import names
from job_creator.engines.gitlab.jobs.containers import (
    IMAGE_DIGEST,
    ContainerPlace,
    container_variables,
)
from job_creator.engines.gitlab.objects import Artifacts, Job, Need
from job_creator.publishing.record import OtherFile
from job_creator.scripts.rendering import render
from job_creator.site.places import SifBucket
from job_creator.site.publish import Cluster
from job_creator.site.tools import SOURCE_DATE_EPOCH

STAGED = "sif.env"
"""The dotenv report that says where a SIF file waits to be signed."""


def sif_job(
    container: Container,
    place: ContainerPlace,
    bucket: SifBucket,
    digest: str | None,
    needed: Sequence[str],
    *,
    signs: bool,
) -> Job:
    """Converts the image, runs the smoke tests in the SIF file, and publishes it, or leaves it to be signed.

    Without a `digest` the image is one that this pipeline builds; `needed` are the jobs that it comes from.
    """
    site = place.site
    script = render(
        "create_sif.sh.j2",
        variables=place.architecture.seen_by_foreign_code("containers"),
        base=UNPACKED_IMAGE,
        epoch=SOURCE_DATE_EPOCH,
        build_date=BUILD_DATE,
        bucket=bucket.url,
        retention=bucket.retention,
        signs=signs,
    )
    registry = site.registry
    login = {"DOCKER_USERNAME": f"${registry.user_variable}", "DOCKER_PASSWORD": f"${registry.password_variable}"}
    return Job(
        name=names.sif_job(container.name, place.name),
        kind=f"sif {place.name}",
        stage=names.STAGE_SIF,
        image=place.singularitah,
        tags=place.architecture.tags("containers"),
        needs=(*(Need(job) for job in needed), place.files_need()),
        script=(render("install_job_creator.sh.j2", command="jc"), script),
        variables={
            **container_variables(container, place, "containers", digest),
            **bucket.credential_variables(),
            "SIF": container.record.file_name,
            "IS_FOREIGN": "yes" if container.upstream else "no",
            # Apptainer and SingularityCE each have a prefix of their own.
            **{f"{tool}_{name}": value for tool in ("APPTAINER", "SINGULARITY") for name, value in login.items()},
        },
        artifacts=Artifacts(expire_in=site.gitlab.artifact_expiry, dotenv=STAGED) if signs else None,
        timeout=place.timeout("containers", "3 hours"),
        interruptible=False,
        resource_group=f"sif {container.name} {container.record.tag}",
    )


def copy_sif_job(
    container: Container,
    place: ContainerPlace,
    bucket: SifBucket,
    source: tuple[OtherFile, str],
    needed: Sequence[str],
    keys: tuple[bool, bool],
) -> Job:
    """Publishes a copy of the file of another branch, which was made from the same image.

    `source` is that file and the digest of the image; `keys` say whether there are public and private ones. The server
    copies what is in the place of this run. A file of the default branch goes through the job, which reads with other
    keys than it writes with.
    """
    file, digest = source
    has_keys, signs = keys
    is_elsewhere = file.bucket != bucket
    reader = file.bucket.reader if is_elsewhere else None
    script = render(
        "copy_sif.sh.j2",
        bucket=bucket.url,
        retention=bucket.retention,
        signing=place.site.signing,
        has_keys=has_keys,
        signs=signs,
        source_endpoint=file.bucket.endpoint if is_elsewhere else None,
    )
    return Job(
        name=names.sif_job(container.name, place.name),
        kind=f"copy sif {place.name}",
        stage=names.STAGE_SIF,
        image=place.site.images.job_creator,
        tags=place.architecture.tags("tools"),
        needs=(*(Need(job, artifacts=False) for job in needed), place.files_need()),
        script=(render("install_job_creator.sh.j2", command="jc"), script),
        variables={
            **place.architecture.job_variables("tools"),
            **bucket.credential_variables(),
            **({f"SOURCE_{name}": text for name, text in reader.as_job_variables().items()} if reader else {}),
            "FOLDER": f"{place.folder}/{container.name}",
            "SIF": file.url,
            IMAGE_DIGEST: digest,
        },
        timeout="1 hour",
        interruptible=False,
        resource_group=f"sif {container.name} {container.record.tag}",
    )


def sign_sif_job(
    container: Container, place: ContainerPlace, bucket: SifBucket, digest: str | None, needed: Sequence[str]
) -> Job:
    """Signs a SIF file, and publishes it. Nothing of it is run in this job, in which the key is."""
    script = render("sign_sif.sh.j2", bucket=bucket.url, retention=bucket.retention, signing=place.site.signing)
    return Job(
        name=names.sign_sif_job(container.name, place.name),
        kind=f"sign sif {place.name}",
        stage=names.STAGE_SIF,
        image=place.singularitah,
        tags=place.architecture.tags("tools"),
        needs=(*(Need(job) for job in needed), place.files_need()),
        script=(render("install_job_creator.sh.j2", command="jc"), script),
        variables={
            **place.architecture.job_variables("tools"),
            **bucket.credential_variables(),
            # Of the build cache, which may have other keys than this bucket.
            **{f"CACHE_{name}": text for name, text in place.credentials.items() if name.startswith("AWS_")},
            "IMAGE": container.repository,
            "FOLDER": f"{place.folder}/{container.name}",
            **({IMAGE_DIGEST: digest} if digest else {}),
        },
        timeout=place.timeout("tools", "1 hour"),
        interruptible=False,
        resource_group=f"sif {container.name} {container.record.tag}",
    )


def cluster_job(
    container: Container,
    place: ContainerPlace,
    bucket: SifBucket,
    cluster: tuple[str, Cluster],
    needed: Sequence[str],
    unproven: str | None = None,
) -> Job:
    """Installs the SIF file on a cluster, by a runner there.

    `unproven` says what becomes of one that no signature proves, where the site has keys.
    """
    name, there = cluster
    setup = (there.setup,) if there.setup else ()
    return Job(
        name=names.cluster_job(container.name, name),
        kind=f"at {name}",
        stage=names.STAGE_PUBLISH,
        image=place.site.images.job_creator,
        tags=there.runner_tags,
        needs=tuple(Need(job, artifacts=False) for job in needed),
        script=(
            *setup,
            render("install_job_creator.sh.j2", command="jc"),
            render(
                "install_sif.sh.j2",
                name=name,
                cluster=there,
                unproven=unproven,
                key=place.site.signing.public_key_variable,
            ),
        ),
        variables={
            **place.architecture.job_variables("tools"),
            **bucket.credential_variables(),
            "SIF": f"{bucket.url}/{container.record.file_name}",
            "PARENT_PIPELINE": str(container.record.pipeline),
            "FINGERPRINT": container.record.container_checksum,
        },
        timeout="2 hours",
        interruptible=False,
        resource_group=f"{name} {container.name}",
    )
