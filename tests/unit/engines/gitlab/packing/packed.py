"""Package pipelines of made-up containers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from foundation.graph import Edges
from job_creator.builds.durations import default_durations
from job_creator.builds.merge import Merged
from job_creator.engines.gitlab.generated import Generated
from job_creator.engines.gitlab.packing.pipelines import Packed, PackRequest, pack
from job_creator.engines.gitlab.packing.work import FusionRequest, PackageWork, package_work
from job_creator.pipelines.packages import preparation
from job_creator.site.gitlab import Fuse
from tests.samples import DEFAULT_BRANCH, SITE, site
from tests.spack_ci import spack_hash

ENVIRONMENT = {**DEFAULT_BRANCH, "CI_PIPELINE_ID": "4712", "BUILDER_IMAGE": "registry.example.org/builder:1-amd64"}


def worked(
    found: Iterable[Generated],
    *,
    text: str = SITE,
    max_jobs: int | None = None,
    environment: Mapping[str, str] = ENVIRONMENT,
    fuse: Fuse = "off",
) -> tuple[PackageWork, Packed]:
    """What was laid out, and how."""
    place = preparation(site(text), environment, "amd64")
    durations = default_durations()
    work = package_work(found, place, place.demands(durations), FusionRequest(fuse, durations))
    result = pack(work, PackRequest("spack.artifacts.amd64", "spack_pipeline.yaml", max_jobs))
    return result.work, result


def packed(found: Iterable[Generated], **arguments: Any) -> tuple[Merged, Packed]:
    """The packages, and how they are laid out; arguments are those of `worked`."""
    work, result = worked(found, **arguments)
    return work.merged, result


def hashed(edges: Edges) -> dict[str, frozenset[str]]:
    return {spack_hash(node): frozenset(map(spack_hash, edges[node])) for node in edges}
