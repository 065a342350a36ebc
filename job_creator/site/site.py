"""The site file `spacktainers.yaml`: everything that a fork has to say, as frozen, validated values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from foundation.errors import Fault, InvalidInputError
from foundation.validation import Value, validate
from foundation.yaml_io import Document
from job_creator.site.architectures import Architecture
from job_creator.site.gitlab import GitLab
from job_creator.site.publish import Publish
from job_creator.site.registries import Registry
from job_creator.site.spack import Signing, Spack
from job_creator.site.tools import Images


class Site(Value):
    """The whole site file."""

    registry: Registry = Registry()
    spack: Spack
    images: Images = Images()
    signing: Signing = Signing()
    architectures: Annotated[Mapping[str, Architecture], Field(min_length=1)]
    """What differs between architectures, by OCI's name of each: `amd64`, `arm64`."""
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
