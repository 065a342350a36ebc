"""The site file `spacktainers.yaml`: everything that a fork has to say, as frozen, validated values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Final

from pydantic import Field

from foundation.errors import Fault, InvalidInputError
from foundation.registries.published import PLATFORMS, SPELLINGS
from foundation.spack.grammar.targets import runs_on_platform
from foundation.validation import Value, validate
from foundation.yaml_io import Document
from job_creator.site.architectures import Architecture, ArchitectureName
from job_creator.site.gitlab import GitLab
from job_creator.site.keys import key_faults, secret_faults, writing_keys
from job_creator.site.publish import Publish
from job_creator.site.registries import Registry
from job_creator.site.runners import CompilePools
from job_creator.site.spack import Signing, Spack
from job_creator.site.tools import Images
from job_creator.site.words import LicenseExpression, PackageName

_OF_EVERY_JOB: Final = {
    "CI_JOB_TOKEN": "is GitLab's token of the job",
    "CI_REPOSITORY_URL": "holds GitLab's token of the job",
    "CI_REGISTRY_PASSWORD": "pushes images",
    "CI_DEPLOY_PASSWORD": "is a token of the project",
    "CI_DEPENDENCY_PROXY_PASSWORD": "is GitLab's token of the job",
}
"""Secrets that GitLab itself gives to jobs (its docs, "Predefined CI/CD variables reference")."""


class Site(Value):
    """The whole site file."""

    registry: Registry = Registry()
    spack: Spack
    images: Images = Images()
    signing: Signing = Signing()
    architectures: Annotated[Mapping[ArchitectureName, Architecture], Field(min_length=1)]
    """What differs between architectures, by the site's name of each: `amd64`, `arm64`, or `zen3` with `oci: amd64`."""
    publish: Publish = Publish()
    gitlab: GitLab = GitLab()
    compile_pool: CompilePools = CompilePools()
    licenses: Mapping[PackageName, LicenseExpression] = {}
    """What this site concluded of the licenses of Spack's packages, by their names, as SPDX expressions.

    Bills of materials have it as concluded, beside what a recipe declares; meant for recipes that state none.
    """

    def platform(self, architecture: str) -> str:
        """OCI's name of an architecture of this site."""
        return self.architectures[architecture].oci or architecture

    def secrets(self) -> dict[str, str]:
        """The names of all variables that no foreign code may see, each with what it does."""
        hub, cosign = self.publish.dockerhub, self.signing.cosign
        return {
            **_OF_EVERY_JOB,
            **writing_keys(self.architectures),
            self.signing.private_key_variable: "signs what all trust",
            self.registry.password_variable: "pushes images",
            self.gitlab.api_token_variable: "reads GitLab's API",
            self.gitlab.report_token_variable: "comments on merge requests",
            **({hub.password_variable: "publishes on Docker Hub"} if hub else {}),
            **(cosign.secrets() if cosign else {}),
        }

    def in_one_index(self, architectures: Iterable[str]) -> tuple[str, ...]:
        """Those of some architectures whose images can share a tag: for each of OCI's the first in the site file.

        Clients choose from an index by OCI's name alone, so that it may hold no two images for one.
        """
        wanted = frozenset(architectures)
        first: dict[str, str] = {}
        for name in self.architectures:
            if name in wanted:
                first.setdefault(self.platform(name), name)
        return tuple(first.values())


def read_site(document: Document) -> Site:
    """The site that a document describes. Top-level keys that start with a dot only hold anchors, as in GitLab.

    Raises `InvalidInputError` with every fault.
    """
    value: Any = document.value
    if isinstance(value, dict):
        value = {key: inner for key, inner in value.items() if not key.startswith(".")}
    site = validate(Site, Document(document.path, value, document.values, document.keys))
    faults = [
        *_platform_faults(site, document),
        *_cluster_faults(site, document),
        *key_faults(site.architectures, document),
        *secret_faults(site.architectures, site.secrets(), document),
    ]
    if faults:
        raise InvalidInputError(faults)
    return _with_public_key(site) if site.signing.public_key else site


def _with_public_key(site: Site) -> Site:
    """The site whose jobs find the public key in the checkout, unless a CI variable has it: those of a project win.

    Source: GitLab docs, "CI/CD variable precedence".
    """
    found = {site.signing.public_key_variable: f"$CI_PROJECT_DIR/{site.signing.public_key}"}
    architectures = {
        name: one.model_copy(update={"variables": {**found, **one.variables}})
        for name, one in site.architectures.items()
    }
    return site.model_copy(update={"architectures": architectures})


def _platform_faults(site: Site, document: Document) -> Iterator[Fault]:
    for name, architecture in site.architectures.items():
        if architecture.oci is None and name not in PLATFORMS:
            message = f"{name!r} is no architecture of OCI images, and 'oci' does not say which one it is"
            hint = f"add 'oci: {SPELLINGS.get(name, 'amd64')}', or what its machines are"
            yield document.fault(("architectures", name), message, hint, of_key=True)
        elif architecture.target and not runs_on_platform(architecture.target, site.platform(name)):
            message = f"no machine of {site.platform(name)} has the target {architecture.target!r}"
            yield document.fault(("architectures", name, "target"), message, "name one of its own, or another 'oci'")


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
