"""What the GitLab server allows."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from foundation.gitlab import API_TOKEN_VARIABLE, MAX_ARTIFACT_BYTES, REPORT_TOKEN_VARIABLE
from foundation.validation import Value
from job_creator.site.words import Duration, VariableName

Fuse = Literal["auto", "off"] | Annotated[int, Field(ge=1)]
"""Whether packages share jobs, or how many seconds of work a job with several packages may have."""

Count = Annotated[int, Field(ge=1)]


class Limits(Value):
    """What GitLab accepts; the defaults are those of a self-managed GitLab 17.3 or newer.

    Source: GitLab docs, "CI/CD limits" and "CI/CD YAML syntax reference".
    """

    edition: Literal["ce", "ee"] = "ce"
    """`ee` for GitLab.com and other Enterprise Editions, which take a few more keywords than the Community Edition:
    `secrets`, `identity`, `dast_configuration` and `needs:project`."""
    max_yaml_bytes: Count = 2 * 1024 * 1024
    """`max_yaml_size_bytes`: memory of one parsed file, not its size on disk; 1 MiB before GitLab 17.3."""
    max_yaml_depth: Count = 100
    """`max_yaml_depth`: levels that mappings and lists may nest."""
    max_needs: Annotated[int, Field(ge=5)] = 50
    """`ci_needs_size_limit`; with fewer than 5 no job could need environments and base images."""
    max_needed_name: Annotated[int, Field(ge=64, le=255)] = 128
    """Characters of a job's name that other jobs need: 255 from GitLab 18 on, 128 before."""
    max_artifact_bytes: Count = MAX_ARTIFACT_BYTES
    """Size of the artifacts archive, and of the YAML file in it, that a trigger may include."""
    max_jobs: Count | None = None
    """`ci_pipeline_size`, where the server sets it."""
    max_child_depth: Count = 2
    """Levels of child pipelines below the parent."""
    max_matrix: Count = 200
    """Jobs that one `parallel:matrix` may expand to."""


class GitLab(Value):
    """The server."""

    api_token_variable: VariableName = API_TOKEN_VARIABLE
    """CI variable with a token that may read the API; needed where the job's own token may not list pipelines."""
    artifact_expiry: Duration = "2 weeks"
    """How long generated pipelines and environments are kept; retrying a job needs them."""
    unit_tests: bool = True
    """Whether pipelines run the tests of this project where its code changed; for forks that change none of it."""
    package_index: bool = True
    """Whether pipelines hold names of packages and variants against an index of the pinned recipes, which a job makes
    once, and no other job waits for."""
    reports: bool = True
    """Whether a job for each architecture reports what a push is going to build. No other job waits for it."""
    report_token_variable: VariableName = REPORT_TOKEN_VARIABLE
    """CI variable with a token that may comment on merge requests (scope `api`, role Reporter), where reports are to be
    shown there; without it they are artifacts alone."""
    fuse: Fuse = "auto"
    """Whether packages that are cheap and lie together share a job: `auto` where nothing takes longer for it, `off`, or
    the seconds of work (60, 900) that such a job may have."""
    job_start: Annotated[int, Field(ge=0)] = 45
    """Seconds that a package job takes before it builds anything: image, checkout, artifacts, Spack's start."""
    pull_policy: Literal["always", "if-not-present", "never"] | None = None
    """When runners pull the images of package jobs; by default what the runner is set to."""
    limits: Limits = Limits()
