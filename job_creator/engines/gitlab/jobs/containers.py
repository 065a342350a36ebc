"""The jobs that build, test, convert and publish one container."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from job_creator.containers.identity import Container, Unbuildable
from job_creator.containers.places import content_reference
from job_creator.engines.gitlab import names
from job_creator.engines.gitlab.jobs.place import JobPlace
from job_creator.engines.gitlab.objects import Artifacts, Job, Need
from job_creator.images.knowledge import Judgement
from job_creator.provenance.statements import StatementKind
from job_creator.scripts.rendering import render
from job_creator.site.publish import DockerHub
from job_creator.site.runners import JobKind
from job_creator.site.tools import SOURCE_DATE_EPOCH

ENTRY_POINT = "/opt/spack-environment/entrypoint.sh"
"""Sets the environment of the container up and runs what it is given (spacktainer/Dockerfile.j2)."""
SMOKE_TESTS = "/.singularity.d/test"
"""Where the smoke tests are in the image; `apptainer test` runs what is there."""
IMAGE_DIGEST = "IMAGE_DIGEST"
"""The variable in which the digest of a container's image reaches the jobs after it."""

INDEX_DIGEST = "INDEX_DIGEST"
"""The variable in which the digest of what the tag points to reaches the job that copies it elsewhere."""


@dataclass(frozen=True, slots=True)
class ContainerPlace(JobPlace):
    """For which architecture the jobs of containers are made, and what they read from where."""

    singularitah: str
    """The image that SIF files are made in."""
    folder: str
    """Where the generated files are, seen from the checkout."""
    base_pipeline: str
    """Id of the pipeline that left the environments and the generated files."""
    credentials: Mapping[str, str] = field(default_factory=dict)
    """Variables of jobs that install packages, where Spack's configuration cannot name them."""

    def files_need(self) -> Need:
        """What a job needs that reads generated files."""
        return Need(names.containers_job(self.name), pipeline=self.base_pipeline)


def image_job(container: Container, place: ContainerPlace) -> Job:
    """Builds the image, or copies the one that is wrapped, and leaves the digest of what it pushed for others."""
    return _copy_job(container, place) if container.upstream else _build_job(container, place)


def _copy_job(container: Container, place: ContainerPlace) -> Job:
    """Copies an image from registry to registry, and adds labels. Nothing of it is run or unpacked."""
    return Job(
        name=names.build_container_job(container.name, place.name),
        kind=f"copy {place.name}",
        stage=names.STAGE_CONTAINERS,
        image=place.site.images.job_creator,
        tags=place.architecture.tags("containers"),
        needs=(place.files_need(),),
        script=(render("install_job_creator.sh.j2", command="jc"), render("copy_image.sh.j2")),
        variables={
            **place.architecture.job_variables("containers"),
            "SOURCE": container.upstream,
            "IMAGE": container.reference,
            "CONTENT_IMAGE": content_reference(container),
            "FOLDER": f"{place.folder}/{container.name}",
        },
        artifacts=Artifacts(expire_in=place.site.gitlab.artifact_expiry, dotenv="container.env"),
        timeout=place.timeout("containers", "3 hours"),
        resource_group=f"container {container.name} {container.record.tag}",
    )


def _build_job(container: Container, place: ContainerPlace) -> Job:
    """Runs the smoke tests in the image before it is pushed."""
    site = place.site
    script = render(
        "build_container.sh.j2",
        registry=site.registry,
        epoch=SOURCE_DATE_EPOCH,
        variables=place.architecture.seen_by_foreign_code("containers"),
        entry_point=ENTRY_POINT,
        smoke_tests=SMOKE_TESTS,
    )
    environment = names.environment_job(container.name, place.name)
    return Job(
        name=names.build_container_job(container.name, place.name),
        kind=f"build {place.name}",
        stage=names.STAGE_CONTAINERS,
        image=site.images.buildah.image,
        tags=place.architecture.tags("containers"),
        needs=(place.files_need(), Need(environment, pipeline=place.base_pipeline)),
        script=(script,),
        variables={
            **container_variables(container, place, "containers"),
            **site.images.buildah.variables(),
            **place.credentials,
            "ARCHITECTURE": container.platform,
            "CONTENT_IMAGE": content_reference(container),
            "LOCK": container.lock,
            "LOCK_SHA256": container.record.spack_lock_sha256,
        },
        artifacts=Artifacts(expire_in=site.gitlab.artifact_expiry, dotenv="container.env"),
        timeout=place.timeout("containers", "3 hours"),
        resource_group=f"container {container.name} {container.record.tag}",
    )


def take_job(container: Container, place: ContainerPlace, judged: Judgement) -> Job:
    """Lets the tags of this run point to an image that is there already, by its digest. Nothing is built or moved."""
    return Job(
        name=names.take_container_job(container.name, place.name),
        kind=f"take {place.name}",
        stage=names.STAGE_CONTAINERS,
        image=place.site.images.job_creator,
        tags=place.architecture.tags("tools"),
        script=(render("install_job_creator.sh.j2", command="jc"), render("take_image.sh.j2")),
        variables={
            **place.architecture.job_variables("tools"),
            "SOURCE": judged.image,
            "IMAGE": container.reference,
            "CONTENT_IMAGE": content_reference(container),
        },
        timeout="1 hour",
        interruptible=False,
        resource_group=f"container {container.name} {container.record.tag}",
    )


def sign_job(container: Container, place: ContainerPlace, digest: str | None, needed: Sequence[str]) -> Job:
    """Signs where the image comes from; it runs nothing of the image, and none of its build."""
    lock = container.record.spack_lock_sha256
    return Job(
        name=names.sign_job(container.name, place.name),
        kind=f"sign {place.name}",
        stage=names.STAGE_TAGS,
        image=place.site.images.job_creator,
        tags=place.architecture.tags("tools"),
        needs=tuple(Need(job) for job in needed),
        script=(render("install_job_creator.sh.j2", command="jc"), render("sign_image.sh.j2", attaches=True)),
        variables={
            **place.architecture.job_variables("tools"),
            "IMAGE": f"{container.repository}@{digest or f'${IMAGE_DIGEST}'}",
            "KIND": str(StatementKind.CONTAINER_IMAGE),
            "ARCHITECTURE": place.name,
            "FINGERPRINT": container.record.container_checksum,
            **({"LOCK_SHA256": lock} if lock else {}),
        },
        timeout="30 minutes",
        interruptible=False,
    )


def tag_job(
    container: Container,
    place: ContainerPlace,
    others: Sequence[str],
    digest: str | None,
    needed: Sequence[str],
    *,
    audits: bool = False,
    attaches: bool = False,
) -> Job:
    """Lets the tag without architecture point to the image of this one, by its digest, and to those of others.

    They are what the tags of their pipelines lead to; for the default branch only if it made that. Where no SIF file is
    made, which would have been audited, this job `audits` the image before; where no job signs the image, it `attaches`
    its bill of materials.
    """
    members = [f"{container.tag}-{architecture}" for architecture in others]
    return Job(
        name=names.image_index_job(container.name, several=bool(members)),
        kind=f"tag {place.name}",
        stage=names.STAGE_TAGS,
        image=place.site.images.job_creator,
        tags=place.architecture.tags("tools"),
        # The digest of an image that is built is an artifact of the job that builds it.
        needs=(
            *(Need(job, artifacts=digest is None and not index) for index, job in enumerate(needed)),
            *((place.files_need(),) if audits else ()),
        ),
        script=(
            render("install_job_creator.sh.j2", command="jc"),
            render(
                "tag_container.sh.j2",
                proven=container.namespace.is_default_branch,
                audits=audits,
                attaches=attaches,
            ),
        ),
        variables={
            **place.architecture.job_variables("tools"),
            "IMAGE": f"{container.repository}:{container.tag}",
            "TAGS": " ".join(members),
            **({"FOLDER": f"{place.folder}/{container.name}"} if audits else {}),
            **({IMAGE_DIGEST: digest} if digest else {}),
        },
        artifacts=Artifacts(expire_in=place.site.gitlab.artifact_expiry, dotenv="index.env"),
        timeout="30 minutes",
        interruptible=False,
        # The pipelines of all architectures set the same tag; the last one sees the images of all.
        resource_group=f"tag {container.name} {container.tag}",
    )


def docker_hub_job(container: Container, place: ContainerPlace, hub: DockerHub, needed: Sequence[str]) -> Job:
    """Copies what the tag was let point to, with all its architectures, to Docker Hub."""
    return Job(
        name=names.docker_hub_job(container.name, place.name),
        kind=f"hub {place.name}",
        stage=names.STAGE_PUBLISH,
        image=place.site.images.skopeo,
        tags=place.architecture.tags("tools"),
        needs=tuple(Need(job) for job in needed),
        script=(render("publish_docker_hub.sh.j2", registry=place.site.registry, dockerhub=hub),),
        variables={
            **place.architecture.job_variables("tools"),
            "GIT_STRATEGY": "none",
            "IMAGE": f"{container.repository}@${INDEX_DIGEST}",
            "TARGET": docker_hub_reference(container, hub),
        },
        interruptible=False,
        resource_group=f"Docker Hub {container.name}",
    )


def failing_job(container: Unbuildable, place: ContainerPlace) -> Job:
    """Stands for a container that cannot be made, so that the pipeline ends red and says which, and why."""
    return _plain_job(names.build_container_job(container.name, place.name), place, _script("cannot_build", container))


def nothing_job(place: ContainerPlace) -> Job:
    """What a pipeline consists of that has nothing to do; GitLab refuses an empty one."""
    return _plain_job(names.NOTHING_TO_DO, place, render("nothing_to_do.sh.j2", architecture=place.name))


def docker_hub_reference(container: Container, hub: DockerHub) -> str:
    """Where the container is on Docker Hub."""
    return f"docker.io/{hub.namespace}/{container.name}:{container.tag}"


def _script(template: str, container: Unbuildable) -> str:
    return render(f"{template}.sh.j2", reason=f"{container.name}: {container.reason}")


def _plain_job(name: str, place: ContainerPlace, script: str) -> Job:
    return Job(
        name=name,
        kind=f"plain {place.name}",
        stage=names.STAGE_CONTAINERS,
        image=place.site.images.job_creator,
        tags=place.architecture.tags("tools"),
        script=(script,),
        variables={**place.architecture.job_variables("tools"), "GIT_STRATEGY": "none"},
        timeout="10 minutes",
    )


def container_variables(
    container: Container, place: ContainerPlace, kind: JobKind, digest: str | None = None
) -> dict[str, str]:
    """What all jobs know that make something of a container's image."""
    return {
        **place.architecture.job_variables(kind),
        "IMAGE": container.reference,
        "FOLDER": f"{place.folder}/{container.name}",
        "SMOKE_TESTS": "yes" if container.has_tests else "no",
        **({IMAGE_DIGEST: digest} if digest else {}),
    }
