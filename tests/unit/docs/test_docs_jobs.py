"""The CI variables and jobs that the documentation names, held against the pipelines that are generated."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from job_creator import project_files
from job_creator.engines.gitlab import base_pipeline, names
from job_creator.engines.gitlab.container_pipeline import plan
from job_creator.engines.gitlab.container_questions import Publications
from job_creator.engines.gitlab.generated import read_generated
from job_creator.engines.gitlab.jobs.package_mirrors import index_jobs
from job_creator.engines.gitlab.objects import expand
from job_creator.engines.gitlab.packing.work import package_work
from job_creator.engines.gitlab.parent_pipeline import parent_pipeline
from job_creator.images.knowledge import Knowledge
from job_creator.inputs import read_all
from job_creator.pipelines.base import parent_document
from job_creator.pipelines.packages import preparation
from job_creator.provenance.signing import SignatureVerdict
from job_creator.publishing.record import OtherFile
from job_creator.site.publish import DockerHub
from tests.containers import DIGEST, container, images_of, recipe, unknown, wanted, with_keys
from tests.documentation import DOCS, SOURCES, inline_code, section, table
from tests.samples import BRANCH, DEFAULT_BRANCH, FROZEN_SITE, MERGE_REQUEST, REPOSITORY, inputs, site
from tests.spack_ci import pipeline

VARIABLE = re.compile(
    r"\b(?:(?:CI|GITLAB|SPACKTAINERS|AWS|S3|BBP|DOCKERHUB|SPACK_DEPLOYMENT|REQUESTS)_[A-Z0-9_]*[A-Z0-9])\b"
)
METAVARIABLES = {"S3_URL"}
VARIABLES_PAGE = DOCS / "variables-and-permissions.md"


def test_variables_are_all_named_and_no_others() -> None:
    named = {name for text in inline_code(VARIABLES_PAGE.read_text()) for name in VARIABLE.findall(text)}
    assert named == known_variables()


def known_variables() -> set[str]:
    """What the code, its scripts, a site file and its defaults, and its parent pipeline look for."""
    files = [path for path in SOURCES if "rehearsal" not in path.parts]
    files += (REPOSITORY / "job_creator" / "scripts" / "templates").glob("*.j2")
    texts = [*(path.read_text() for path in files), parent_document(read_all(FROZEN_SITE, project_files.SITE_FILE))]
    return {name for text in texts for name in VARIABLE.findall(text)} - METAVARIABLES | set(variables_of_the_site())


def variables_of_the_site() -> Iterator[str]:
    for model in (site((FROZEN_SITE / project_files.SITE_FILE).read_text()), DockerHub(namespace="example")):
        yield from named_variables(model.model_dump())


def named_variables(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        yield from (str(inner) for key, inner in value.items() if str(key).endswith("_variable"))
        yield from (name for inner in value.values() for name in named_variables(inner))


PUBLISHED_SITE = (
    (FROZEN_SITE / project_files.SITE_FILE).read_text()
    + """\
publish:
  dockerhub: {namespace: example}
  clusters:
    far: {directory: /shared/containers, runner_tags: [far]}
"""
)
READ_BY_COMMANDS = {
    ("SPACK_DEPLOYMENT_KEY_PUBLIC", "generate base pipeline"),
    ("SPACK_DEPLOYMENT_KEY_PUBLIC", "generate spacktainer jobs for <arch>"),
    ("SPACK_DEPLOYMENT_KEY_PUBLIC", "sign <image> for <arch>"),
    ("SPACK_DEPLOYMENT_KEY_PUBLIC", "sign <name> for <arch>"),
    ("SPACK_DEPLOYMENT_KEY_PRIVATE", "sign <image> for <arch>"),
    ("SPACK_DEPLOYMENT_KEY_PRIVATE", "sign <name> for <arch>"),
    ("DOCKERHUB_USER", "generate spacktainer jobs for <arch>"),
    ("DOCKERHUB_PASSWORD", "generate spacktainer jobs for <arch>"),
    ("GITLAB_API_TOKEN", "gather child artifacts"),
    ("CI_JOB_TOKEN", "gather child artifacts"),
    ("CI_JOB_TOKEN", "report packages for <arch>"),
    ("SPACKTAINERS_REPORT_TOKEN", "report packages for <arch>"),
}
"""Variables that no script names, since `jc` and `ga` take them from the environment themselves."""


def test_the_jobs_of_the_pages_are_those_of_the_pipelines() -> None:
    page = DOCS / "what-happens-on-a-push.md"
    parent = parent_jobs(DEFAULT_BRANCH)
    assert {job for row in table(section(page, "The parent pipeline")) for job in inline_code(row[0])} == set(parent)
    base = {job for row in table(section(page, "The base pipeline")) for job in inline_code(row[0])}
    containers = {
        job for row in table((DOCS / "containers.md").read_text()) for job in inline_code(row[0]) if " " in job
    }
    rare = {
        names.NOTHING_TO_DO,
        names.image_index_job("<name>", several=False),
        names.take_container_job("<name>", "<arch>"),
    }
    assert rare <= containers
    assert containers - rare == set(container_jobs(DEFAULT_BRANCH))
    rare = {
        names.collect_job("<number>", "<arch>"),
        names.mirror_job("<arch>"),
        names.image_index_job("<image>", several=False),
    }
    assert base - rare == set(base_jobs(DEFAULT_BRANCH))
    assert rare <= base


def test_the_table_of_secrets_lists_the_jobs_that_read_them() -> None:
    listed = {
        (name, job)
        for row in table(section(VARIABLES_PAGE, "Secrets"))
        for name in VARIABLE.findall(row[0])
        for job in [*inline_code(row[4]), *(["package jobs"] if "package jobs" in row[4] else [])]
    }
    asked = {name for name, _ in listed}
    read = {
        (name, job)
        for environment in (DEFAULT_BRANCH, BRANCH, MERGE_REQUEST)
        for job, text in all_jobs(environment).items()
        for name in read_variables(text) & asked
    }
    assert listed == read | READ_BY_COMMANDS


@pytest.mark.parametrize(
    ("environment", "hidden"),
    [
        (BRANCH, ("SPACK_DEPLOYMENT_KEY_PRIVATE", "DOCKERHUB_USER", "DOCKERHUB_PASSWORD")),
        (
            MERGE_REQUEST,
            (
                "SPACK_DEPLOYMENT_KEY_PRIVATE",
                "DOCKERHUB_USER",
                "DOCKERHUB_PASSWORD",
                "AWS_CACHE_ACCESS_KEY_ID",
                "AWS_CACHE_SECRET_ACCESS_KEY",
                "AWS_INFRASTRUCTURE_ACCESS_KEY_ID",
                "AWS_INFRASTRUCTURE_SECRET_ACCESS_KEY",
            ),
        ),
    ],
    ids=["branch", "merge request"],
)
def test_what_nobody_must_see_is_named_by_no_job(environment: Mapping[str, str], hidden: Collection[str]) -> None:
    """Of child pipelines; the jobs of the parent are the same for all, and have rules."""
    for job, text in {**base_jobs(environment), **container_jobs(environment), **package_jobs(environment)}.items():
        assert not read_variables(text) & set(hidden), job


def read_variables(text: str) -> set[str]:
    return set(re.findall(r"\$\{?([A-Z][A-Z0-9_]+)", text))


def all_jobs(environment: Mapping[str, str]) -> dict[str, str]:
    return {
        **parent_jobs(environment),
        **base_jobs(environment),
        **container_jobs(environment),
        **package_jobs(environment),
    }


def parent_jobs(environment: Mapping[str, str]) -> dict[str, str]:
    definitions = inputs(environment=environment, text=PUBLISHED_SITE).definitions
    return by_pattern(parent_pipeline(site(PUBLISHED_SITE), definitions))


def base_jobs(environment: Mapping[str, str]) -> dict[str, str]:
    """With what the environments name, which Spack reads."""
    found = replace(inputs(environment=environment, text=PUBLISHED_SITE), signs=environment is DEFAULT_BRANCH)
    built = base_pipeline.plan(found, unknown())
    jobs = by_pattern(built.pipeline.document())
    mirrors = json.dumps([one["spack"]["mirrors"] for one in built.environments.values()])
    jobs[names.environment_job("<name>", "<arch>")] += as_references(mirrors)
    return jobs


def package_jobs(environment: Mapping[str, str]) -> dict[str, str]:
    """Spack makes them of an environment's `ci:` section; the index job is made for all of them."""
    built = base_pipeline.plan(inputs(environment=environment, text=PUBLISHED_SITE), unknown())
    (first, *_) = built.environments.values()
    spack = first["spack"]
    place = preparation(site(PUBLISHED_SITE), environment, "amd64")
    work = package_work([read_generated("hdf5", "pipeline.yml", pipeline("hdf5", {"a": []}))], place)
    package = [work.job(key, []).keywords for key in work.merged.steps]
    return {
        "package jobs": json.dumps([package, spack["ci"]]) + as_references(json.dumps(spack["mirrors"])),
        "rebuild-index": json.dumps([job.keywords for job in index_jobs(work.generated, place)]),
    }


def container_jobs(environment: Mapping[str, str]) -> dict[str, str]:
    """With the build secrets, which stand in a file."""
    made = container(made_with=recipe(environment, PUBLISHED_SITE))
    found = with_keys(wanted(made, environment=environment, text=PUBLISHED_SITE))
    found = replace(found, signs=environment is DEFAULT_BRANCH)
    built = plan(found, unknown(), Publications({}))
    jobs = by_pattern(built.pipeline.document())
    jobs[names.build_container_job("<name>", "<arch>")] += as_references(made.files["secrets"].decode())
    if found.released:
        record = replace(container().record, image_digest=DIGEST, sha256="e" * 64, size=7)
        same = OtherFile(record, SignatureVerdict("", "F" * 40), found.released)
        copied = plan(found, Knowledge(images_of(found)), Publications({}, others=[same]))
        for job, text in by_pattern(copied.pipeline.document()).items():
            jobs[job] = jobs.get(job, "") + text
    return jobs


def as_references(text: str) -> str:
    return "".join(f" ${name}" for name in VARIABLE.findall(text))


def by_pattern(document: Mapping[str, Any]) -> dict[str, str]:
    """The text of each kind of job, by its name with `<arch>` and so on for what differs."""
    found: dict[str, str] = {}
    for name, job in expand(document).items():
        general = re.sub(r"\b(amd64|arm64)\b", "<arch>", re.sub(r"\bhdf5\b", "<name>", name))
        general = re.sub(r"\b(builder|runtime|singularitah)\b", "<image>", general)
        general = re.sub(r"SIF to far$", "SIF to <cluster>", re.sub(r"(?<=containers on ).*", "<place>", general))
        found[general] = found.get(general, "") + json.dumps(job)
    return found
