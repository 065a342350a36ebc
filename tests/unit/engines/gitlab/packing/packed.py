"""Package pipelines of made-up containers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from foundation.graph import Edges
from job_creator.builds.durations import default_durations
from job_creator.builds.merge import Merged
from job_creator.engines.gitlab.generated import Generated
from job_creator.engines.gitlab.packing.pipelines import Packed, PackRequest, pack, package_work
from job_creator.pipelines.packages import preparation
from tests.samples import DEFAULT_BRANCH, SITE, site
from tests.spack_ci import spack_hash

ENVIRONMENT = {**DEFAULT_BRANCH, "CI_PIPELINE_ID": "4712", "BUILDER_IMAGE": "registry.example.org/builder:1-amd64"}


def packed(
    found: Iterable[Generated],
    *,
    text: str = SITE,
    max_jobs: int | None = None,
    environment: Mapping[str, str] = ENVIRONMENT,
) -> tuple[Merged, Packed]:
    place = preparation(site(text), environment, "amd64")
    work = package_work(found, place, place.demands(default_durations()))
    return work.merged, pack(work, PackRequest("spack.artifacts.amd64", "spack_pipeline.yaml", max_jobs))


def hashed(edges: Edges) -> dict[str, frozenset[str]]:
    return {spack_hash(node): frozenset(map(spack_hash, edges[node])) for node in edges}
