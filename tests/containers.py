"""Containers as they have to be, and what registries and buckets know of them, for tests."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from foundation.fingerprints import FileEntry
from foundation.registries.published import Published, Query
from job_creator.containers.identity import Container, Recipe, Unbuildable, imported_container, spacktainer
from job_creator.definitions.definitions import ImportedDefinition, SpackDefinition
from job_creator.engines.gitlab.container_questions import Publications, WantedContainers, current_key, installed_key
from job_creator.engines.gitlab.jobs.containers import ContainerPlace
from job_creator.engines.gitlab.names import container_artifacts
from job_creator.environments.concrete import ConcreteEnvironment
from job_creator.images.knowledge import Knowledge, registry_of
from job_creator.pipelines.packages import preparation
from job_creator.project_files import environments_folder
from job_creator.provenance.signing import SignatureVerdict
from job_creator.site.run import Context
from tests.locks import concrete
from tests.samples import DEFAULT_BRANCH, REPOSITORY, SITE, imported_definition, site, spack_definition

PUBLISHED_SITE = SITE + (
    "publish:\n"
    "  dockerhub: {namespace: example}\n"
    "  clusters:\n"
    "    alps: {directory: /shared/containers, runner_tags: [alps]}\n"
    "    other: {directory: /shared, runner_tags: [other], architecture: arm64}\n"
)
IN_CI = {
    "CI_PIPELINE_ID": "4711",
    "CI_PIPELINE_URL": "https://gitlab.example.org/group/containers/-/pipelines/4711",
    "CI_PROJECT_URL": "https://gitlab.example.org/group/containers",
}
BUILDER = f"registry.example.org/group/containers/builder@sha256:{'b' * 64}"
RUNTIME = f"registry.example.org/group/containers/runtime@sha256:{'c' * 64}"
DIGEST = f"sha256:{'d' * 64}"


def recipe(environment: Mapping[str, str] = DEFAULT_BRANCH, text: str = PUBLISHED_SITE) -> Recipe:
    """What the containers of a run are made with; the Dockerfile template is the project's own."""
    context = Context.from_environment({**IN_CI, **environment})
    found = site(text)
    return Recipe(
        setting=preparation(found, {**IN_CI, **environment}, "amd64").setting,
        context=context,
        registry=registry_of(found, context),
        label_prefix=found.registry.label_prefix,
        architecture="amd64",
        platform="amd64",
        folder=container_artifacts("amd64"),
        environments=environments_folder("amd64"),
        dockerfile=(REPOSITORY / "spacktainer" / "Dockerfile.j2").read_text(),
        image_files=(FileEntry("install.sh", "100755", "0" * 64),),
        builder=BUILDER,
        runtime=RUNTIME,
    )


def container(
    definition: SpackDefinition | None = None,
    made_with: Recipe | None = None,
    environment: ConcreteEnvironment | None = None,
) -> Container:
    """The container of a definition, from the sample lockfile."""
    found = definition or spack_definition()
    files = {file.source: (FileEntry(file.source, "100644", "1" * 64),) for file in found.files}
    return spacktainer(found, environment or concrete(), made_with or recipe(), files, None)


def imported(
    definition: ImportedDefinition | None = None,
    digest: str = f"sha256:{'a' * 64}",
    made_with: Recipe | None = None,
) -> Container:
    """The container that wraps an image which has this digest now."""
    found = definition or imported_definition()
    return imported_container(found, replace(found.image, tag=None, digest=digest), made_with or recipe())


def wanted(
    *containers: Container,
    environment: Mapping[str, str] = DEFAULT_BRANCH,
    text: str = PUBLISHED_SITE,
    unbuildable: Collection[Unbuildable] = (),
) -> WantedContainers:
    """These containers, wanted for amd64 in a run."""
    found = site(text)
    return WantedContainers(
        place=ContainerPlace(
            "amd64",
            found.architectures["amd64"],
            found,
            "registry.example.org/group/containers/singularitah:latest",
            container_artifacts("amd64"),
            "4711",
        ),
        context=Context.from_environment({**IN_CI, **environment}),
        containers=containers,
        architectures={one.name: ["amd64", "arm64"] for one in containers},
        unbuildable=tuple(unbuildable),
    )


def with_keys(found: WantedContainers) -> WantedContainers:
    """The same on a site that has a key pair, of which the default branch alone sees the private one."""
    return replace(found, signs=found.context.is_default_branch, has_keys=not found.context.is_merge_request)


def proven(found: WantedContainers) -> Publications:
    """A bucket in which everything is as it has to be, and signed."""
    published = records_of(found)
    good = SignatureVerdict("", "F" * 40)
    return replace(published, proofs=dict.fromkeys((one.record.file_name for one in found.containers), good))


def images_of(found: WantedContainers) -> dict[Query, Published | None]:
    """A registry and a Docker Hub in which everything is as it has to be."""
    return {
        Query(reference, "amd64"): Published(DIGEST, {**one.identity, "other": "label"}, "amd64")
        for one in found.containers
        for reference in (
            one.reference,
            f"{one.repository}:{one.tag}",
            f"docker.io/example/{one.name}:{one.tag}",
        )
    }


def records_of(found: WantedContainers) -> Publications:
    """A bucket and a cluster in which everything is as it has to be."""
    records = {
        one.record.file_name: replace(one.record, image_digest=DIGEST, sha256="e" * 64, size=7)
        for one in found.containers
    }
    installed = {installed_key("alps", name): record for name, record in records.items()}
    current = {current_key("alps", record.container): record for record in records.values()}
    return Publications({**records, **installed, **current})


def unknown(why: str = "not asked") -> Knowledge:
    """Of a registry that was not asked."""
    return Knowledge(None, why)
