"""The parent pipeline: `.gitlab-ci.yml`, rendered from the site file and the definitions. Pure.

It only starts other pipelines, in the order that GitLab allows: a trigger finds its YAML in a job of its own pipeline,
and children may nest two levels deep.

Sources: GitLab docs, "Downstream pipelines", "CI/CD YAML syntax reference" (`workflow`, `trigger`, `rules`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from foundation.errors import ExitCode
from foundation.spack.package_index import VERSION
from job_creator import project_files
from job_creator.definitions.definitions import Definition, SpackDefinition
from job_creator.engines.gitlab import names
from job_creator.engines.gitlab.objects import resource_group
from job_creator.scripts.rendering import render
from job_creator.site.run import PARENT_PIPELINE_ID
from job_creator.site.site import Site

STAGES: Final = ("test", "generate", "base", "gather", "build cache", "containers", "clean")
_MERGE_REQUEST: Final = '$CI_PIPELINE_SOURCE == "merge_request_event"'
_PUSH: Final = '$CI_PIPELINE_SOURCE == "push"'
_SCHEDULE: Final = '$CI_PIPELINE_SOURCE == "schedule"'
_DEFAULT_BRANCH: Final = "$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH"
_CODE: Final = (
    *(f"{folder}/**/*" for folder in ("foundation", "job_creator", "spackitor", "get_artifacts")),
    *(f"{folder}/**/*" for folder in ("tests", "benchmarks", "docs", ".ci")),
    *(f"{folder}/**/*" for folder in (*project_files.BASE_IMAGES, project_files.IMAGE_FILES_FOLDER)),
    project_files.DOCKERFILE_TEMPLATE,
    *("*.md", "Makefile", "pyproject.toml", "requirements*.txt", ".gitignore", ".vscode/*"),
)
"""All that tests read but what a site writes: that is checked where the base pipeline is generated."""


def parent_pipeline(site: Site, definitions: Sequence[Definition], defaults: Collection[str] = ()) -> dict[str, Any]:
    """The whole document. The same site and definitions always give the same one.

    `defaults` is what the repository leaves to `jc`: what base images are built from is handed on to their jobs.
    """
    architectures = sorted({definition.architecture for definition in definitions})
    jobs = dict(_unit_tests(site, architectures[0])) if site.gitlab.unit_tests else {}
    jobs |= dict(_package_names(site, architectures[0])) if site.gitlab.package_index else {}
    jobs |= _first_jobs(site, architectures[0], hands_on=not set(project_files.BASE_IMAGES).isdisjoint(defaults))
    for architecture in architectures:
        own = [one for one in definitions if one.architecture == architecture]
        jobs |= _triggers(architecture, has_packages=any(isinstance(one, SpackDefinition) for one in own))
    jobs |= dict(_clean_jobs(site, architectures))
    return {"workflow": _workflow(), "stages": list(STAGES), **jobs}


def _workflow() -> dict[str, Any]:
    """One pipeline for each push: that of the merge request where there is one, and none for tags.

    The default branch keeps its own, also while somebody merges it elsewhere, and so do schedules and pipelines that
    are started by hand.
    """
    return {
        "auto_cancel": {"on_new_commit": "interruptible"},
        "rules": [
            {"if": _MERGE_REQUEST},
            {"if": f"{_PUSH} && $CI_OPEN_MERGE_REQUESTS && $CI_COMMIT_BRANCH != $CI_DEFAULT_BRANCH", "when": "never"},
            {"if": "$CI_COMMIT_BRANCH"},
        ],
    }


def _unit_tests(site: Site, architecture: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """For the tests of a fork's own changes; who only adds containers does not wait for them.

    Without `compare_to` everything counts as changed in the first pipeline of a branch, and in one that nobody pushed
    for (GitLab docs, "CI/CD YAML syntax reference", `rules:changes`).
    """
    since_the_branch = {"paths": list(_CODE), "compare_to": "refs/heads/$CI_DEFAULT_BRANCH"}
    yield (
        names.UNIT_TESTS,
        {
            "stage": "test",
            **_machine(site, architecture),
            "rules": [
                {"if": _MERGE_REQUEST, "changes": {"paths": list(_CODE)}},
                {"if": f"{_PUSH} && {_DEFAULT_BRANCH}", "changes": {"paths": list(_CODE)}},
                {"if": _PUSH, "changes": since_the_branch},
            ],
            "script": ["make test"],
            "interruptible": True,
        },
    )


def _package_names(site: Site, architecture: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Makes the index where the cache lacks it. No job waits for this one, and none needs what it makes."""
    yield (
        names.PACKAGE_NAMES,
        {
            "stage": "test",
            **_machine(site, architecture),
            "rules": _unless_scheduled(),
            "needs": [],
            # Wrong names leave an index that is good.
            "cache": {**_cached_index(site), "when": "always"},
            "script": [
                render("install_job_creator.sh.j2", command="jc"),
                render("check_package_names.sh.j2", index=project_files.CACHED_PACKAGE_INDEX),
            ],
            "allow_failure": {"exit_codes": [int(ExitCode.COULD_NOT_ASK), int(ExitCode.NOT_READY)]},
            "interruptible": True,
        },
    )


def _cached_index(site: Site) -> dict[str, Any]:
    """The cache with the index of the pinned recipes. Another pin has another one."""
    spack = site.spack
    sources = [spack.packages.model_dump() if spack.packages else None, spack.repository, spack.ref, VERSION]
    digest = hashlib.sha256(json.dumps(sources, sort_keys=True).encode()).hexdigest()
    return {"key": f"package-index-{digest[:16]}", "paths": [f"{project_files.PACKAGE_INDEX_CACHE}/"]}


def _first_jobs(site: Site, architecture: str, *, hands_on: bool) -> Iterator[tuple[str, dict[str, Any]]]:
    # What a moving ref names only the job knows that asks for it.
    has_index = site.gitlab.package_index and site.spack.recipes_stay
    index = project_files.CACHED_PACKAGE_INDEX if has_index else ""
    yield (
        names.GENERATE_BASE_PIPELINE,
        {
            "stage": "generate",
            **_machine(site, architecture),
            "rules": _unless_scheduled(),
            "needs": [],
            **({"cache": {**_cached_index(site), "policy": "pull"}} if has_index else {}),
            "script": [
                render("install_job_creator.sh.j2", command="jc"),
                render("generate_base_pipeline.sh.j2", index=index),
            ],
            "artifacts": {
                "paths": [
                    names.GENERATED_PIPELINE,
                    project_files.merged_environment("*", "*"),
                    f"{project_files.PROGRAMS_FOLDER}/",
                    *([f"{project_files.DEFAULTS_FOLDER}/"] if hands_on else []),
                ],
                "expire_in": site.gitlab.artifact_expiry,
            },
            "interruptible": True,
        },
    )
    yield (
        names.BASE_BRIDGE,
        {
            "stage": "base",
            "rules": _unless_scheduled(),
            "needs": [names.GENERATE_BASE_PIPELINE],
            "variables": {PARENT_PIPELINE_ID: "$CI_PIPELINE_ID"},
            "trigger": _child(names.GENERATED_PIPELINE, names.GENERATE_BASE_PIPELINE),
        },
    )
    folders = [names.package_artifacts("*"), names.container_artifacts("*")]
    yield (
        names.GATHER,
        {
            "stage": "gather",
            **_machine(site, architecture),
            # Where one environment failed, those of the others are brought on.
            "rules": _unless_scheduled(when="always"),
            "needs": [names.BASE_BRIDGE],
            "script": [render("install_job_creator.sh.j2", command="ga"), "ga\n"],
            "artifacts": {
                "when": "always",
                "paths": folders,
                "reports": {"dotenv": names.DOTENV_FILE},
                "expire_in": site.gitlab.artifact_expiry,
            },
            "interruptible": True,
        },
    )


def _triggers(architecture: str, *, has_packages: bool) -> dict[str, dict[str, Any]]:
    """The children of one architecture. What fails in the one does not keep the other from building the rest."""
    populate, containers = names.populate_bridge(architecture), names.containers_bridge(architecture)
    packages: dict[str, dict[str, Any]] = {
        populate: {
            "stage": "build cache",
            "rules": _unless_scheduled(when="always"),
            "needs": [names.GATHER],
            "trigger": _child(f"{names.package_artifacts(architecture)}/{names.PACKAGE_PIPELINE}", names.GATHER),
        }
    }
    return {
        **(packages if has_packages else {}),
        containers: {
            "stage": "containers",
            "rules": _unless_scheduled(when="always"),
            "needs": [names.GATHER, *([populate] if has_packages else [])],
            "trigger": _child(f"{names.container_artifacts(architecture)}/{names.CONTAINER_PIPELINE}", names.GATHER),
        },
    }


def _clean_jobs(site: Site, architectures: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """What deleted branches left, in each bucket and on each cluster: on the default branch, also every night."""
    rules = [{"if": _DEFAULT_BRANCH}]
    buckets: dict[str, str] = {}
    for architecture in architectures:
        containers = site.architectures[architecture].containers
        bucket = containers.of_branches() if containers else None
        if bucket is None or bucket.url in buckets:
            continue
        buckets[bucket.url] = architecture
        place = f"{bucket.bucket}/{bucket.prefix}".rstrip("/")
        yield (
            names.clean_branches_job(place),
            {
                "stage": "clean",
                **_machine(site, architecture, bucket.credential_variables()),
                "rules": rules,
                "needs": [],
                "script": _cleaning(bucket.url),
                "resource_group": resource_group(f"clean {place}"),
            },
        )
    for name, cluster in site.publish.clusters.items():
        machine = _machine(site, cluster.architecture)
        yield (
            names.clean_branches_job(name),
            {
                "stage": "clean",
                **machine,
                "tags": list(cluster.runner_tags),
                "rules": rules,
                "needs": [],
                "script": [
                    *([cluster.setup] if cluster.setup else []),
                    *_cleaning(cluster.directory, cluster.keep_days),
                ],
                "resource_group": resource_group(f"clean {name}"),
            },
        )


def _cleaning(place: str, keep_days: int | None = None) -> list[str]:
    script = render("clean_branches.sh.j2", place=place, keep_days=keep_days)
    return [render("install_job_creator.sh.j2", command="jc"), script]


def _machine(site: Site, architecture: str, variables: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Where a job runs that uses the commands of this project."""
    found = site.architectures[architecture]
    shared = {**found.job_variables("tools"), **(variables or {})}
    return {
        "image": {"name": site.images.job_creator, "entrypoint": [""]},
        "tags": list(found.tags("tools")),
        **({"variables": shared} if shared else {}),
    }


def _child(artifact: str, job: str) -> dict[str, Any]:
    """A trigger that lasts as long as its child, and fails with it. Variables that somebody gave by hand go along."""
    return {
        "include": [{"artifact": artifact, "job": job}],
        "strategy": "depend",
        "forward": {"pipeline_variables": True},
    }


def _unless_scheduled(when: str = "on_success") -> list[dict[str, str]]:
    """Scheduled pipelines only clean."""
    return [{"if": _SCHEDULE, "when": "never"}, {"when": when}]
