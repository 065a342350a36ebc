"""What the container pipeline of one architecture is made from, and what registry and bucket are asked for it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from foundation.registries.published import Query
from job_creator.containers.identity import Container, Unbuildable
from job_creator.containers.places import wanted_image
from job_creator.engines.gitlab.jobs.containers import ContainerPlace, docker_hub_reference
from job_creator.provenance.signing import SignatureVerdict
from job_creator.publishing.record import OtherFile, PublicationRecord
from job_creator.site.places import ContainersBucket, SifBucket
from job_creator.site.publish import Cluster, DockerHub
from job_creator.site.run import Context


@dataclass(frozen=True, slots=True)
class Publications:
    """What the containers bucket holds, by key below its prefix. `None` means that it was not asked."""

    records: Mapping[str, PublicationRecord | None] | None
    why_unknown: str = ""
    proofs: Mapping[str, SignatureVerdict] = field(default_factory=dict)
    """What the signatures of this run's SIF files are worth, by the same keys."""
    others: Sequence[OtherFile] = ()
    """Files of other branches that may be the same as ours."""


@dataclass(frozen=True)
class WantedContainers:
    """All containers of one architecture, and where they are published in this run."""

    place: ContainerPlace
    context: Context
    containers: Sequence[Container]
    architectures: Mapping[str, Sequence[str]]
    """The architectures whose images the tag of each container points to (`Site.in_one_index`), by its name."""
    unbuildable: Sequence[Unbuildable] = ()
    signs: bool = False
    """Whether this run signs what it makes."""
    has_keys: bool = False
    """Whether it has the public keys of the site."""

    @property
    def docker_hub(self) -> DockerHub | None:
        """Where releases are published besides; only the default branch makes them."""
        return self.place.site.publish.dockerhub if self.context.is_default_branch else None

    @property
    def bucket(self) -> SifBucket | None:
        """Where SIF files go. Merge requests may come from anyone, and publish nothing."""
        bucket = self.place.architecture.containers
        if bucket is None or self.context.is_merge_request:
            return None
        return bucket if self.context.is_default_branch else bucket.of_branches()

    @property
    def released(self) -> ContainersBucket | None:
        """Where branches find the files of the default branch, if there are keys to read them with."""
        bucket = self.place.architecture.containers
        is_branch = not (self.context.is_merge_request or self.context.is_default_branch)
        return bucket if bucket and bucket.reader and is_branch else None

    @property
    def unproven(self) -> str | None:
        """What clusters do with files that no signature proves; `None` where nothing can be proven."""
        return ("refuse" if self.signs else "install") if self.has_keys or self.signs else None

    @property
    def clusters(self) -> Mapping[str, Cluster]:
        """The clusters of this architecture that SIF files are installed on."""
        clusters = self.place.site.publish.clusters if self.bucket else {}
        return {name: one for name, one in clusters.items() if one.architecture == self.place.name}


def questions(wanted: WantedContainers) -> tuple[Query, ...]:
    """What to ask registries: each image by all tags that it may have, and what is on Docker Hub."""
    return tuple(query for one in wanted.containers for query in _queries(one, wanted))


def keys(wanted: WantedContainers) -> tuple[str, ...]:
    """What to ask the containers bucket for, as keys below its prefix: SIF files, and what clusters have of them."""
    if wanted.bucket is None:
        return ()
    files = [one.record.file_name for one in wanted.containers]
    releases = [one.name for one in wanted.containers if one.record.is_release]
    return (
        *files,
        *(installed_key(cluster, file) for cluster in wanted.clusters for file in files),
        *(current_key(cluster, name) for cluster in wanted.clusters for name in releases),
    )


def installed_key(cluster: str, file_name: str) -> str:
    """Where the bucket says which SIF file a cluster has."""
    return f"installed/{cluster}/{file_name}"


def current_key(cluster: str, container: str) -> str:
    """Where the bucket says which SIF file of a container is current on a cluster."""
    return f"installed/{cluster}/{container}.current"


def _queries(container: Container, wanted: WantedContainers) -> Iterable[Query]:
    references = [f"{container.repository}:{container.tag}"]
    if wanted.docker_hub:
        references.append(docker_hub_reference(container, wanted.docker_hub))
    return (*wanted_image(container).queries, *(Query(reference, container.platform) for reference in references))
