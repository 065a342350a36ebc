"""Where the image of a container may be already. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from job_creator.containers.identity import Container
from job_creator.containers.versions import legal_version
from job_creator.images.knowledge import ImagePlace, Trust, WantedImage
from job_creator.provenance.namespaces import Namespace, content_tag
from job_creator.provenance.statements import StatementKind


def wanted_image(container: Container) -> WantedImage:
    """What to look for of a container, and where: under its tag, under other tags, and where other runs put theirs."""
    return WantedImage(
        StatementKind.CONTAINER_IMAGE,
        container.name,
        container.architecture,
        container.platform,
        container.identity,
        container.record.container_checksum,
        tuple(_places(container)),
    )


def content_reference(container: Container, namespace: Namespace | None = None) -> str:
    """The tag that every image of this fingerprint has in a part of the registry; without one, in the run's own."""
    repository = (namespace or container.namespace).repository(container.name)
    return f"{repository}:{content_tag(repository, container.record.container_checksum, container.architecture)}"


def _places(container: Container) -> Iterator[ImagePlace]:
    own = container.namespace
    default, branches = (own, own.other) if own.is_default_branch else (own.other, own)
    version = f"{legal_version(container.record.version)}-{container.architecture}"
    yield _place(f"{default.repository(container.name)}:{version}", Trust.PROOF_WHERE_KEYS_ARE_KNOWN)
    yield _place(content_reference(container, default), Trust.PROOF_WHERE_KEYS_ARE_KNOWN)
    # Branches believe each other, as they see the same variables; the default branch believes signatures alone.
    trust = Trust.PROOF if own.is_default_branch else Trust.LABELS
    if not own.is_default_branch:
        yield _place(container.reference, trust)
    yield _place(content_reference(container, branches), trust)


def _place(reference: str, trust: Trust) -> ImagePlace:
    repository, _, tag = reference.rpartition(":")
    return ImagePlace(repository, tag, trust)
