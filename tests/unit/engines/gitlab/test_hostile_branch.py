"""Whatever a branch, a tag or a fork's merge request is called: it writes nothing that the default branch reads."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

from hypothesis import example, given
from hypothesis import strategies as st

from job_creator.containers.places import wanted_image
from job_creator.engines.gitlab import base_pipeline
from job_creator.engines.gitlab.base_pipeline import wanted_images
from job_creator.engines.gitlab.container_pipeline import plan
from job_creator.engines.gitlab.container_questions import Publications, WantedContainers, keys
from job_creator.engines.gitlab.objects import expand
from job_creator.images.knowledge import Trust
from job_creator.pipelines.packages import preparation
from job_creator.site.run import Context
from tests.containers import PUBLISHED_SITE, container, recipe, unknown, wanted
from tests.samples import DEFAULT_BRANCH, inputs, site

HOSTILE = ("latest", "main", "branches", "1.14.5-amd64", "1.14.5", "hdf5__1.14.5-amd64", "a/../main", "current", "../x")
"""Names of what the default branch has, and ways there."""

names = st.sampled_from(HOSTILE) | st.text(
    st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=60
)
kinds = st.sampled_from(["branch", "tag", "merge request"])


def run_of(name: str, kind: str) -> dict[str, str]:
    """What GitLab says of such a run. The branch of a fork's merge request may be called like the default one."""
    found = {**DEFAULT_BRANCH, "CI_COMMIT_REF_NAME": name}
    if kind == "tag":
        return {**found, "CI_COMMIT_TAG": name}
    return {**found, "CI_MERGE_REQUEST_IID": "7"} if kind == "merge request" else found


def containers_of(run: Mapping[str, str]) -> WantedContainers:
    return wanted(container(made_with=recipe(run, PUBLISHED_SITE)), environment=run, text=PUBLISHED_SITE)


def read_by_the_default_branch() -> set[str]:
    """Images that count without a signature, objects in buckets, caches."""
    return set(_read())


def _read() -> Iterator[str]:
    found = inputs(environment=DEFAULT_BRANCH, text=PUBLISHED_SITE)
    planned = list(wanted_images(found))
    believed = [one.wanted for one in planned] + [wanted_image(one) for one in containers_of(DEFAULT_BRANCH).containers]
    for image in believed:
        yield from (f"{one.repository}:{one.tag}" for one in image.places if one.trust is not Trust.PROOF)
    yield from (f"{one.repository}:{found.moving_tag}" for one in planned)
    asked = containers_of(DEFAULT_BRANCH)
    yield from (f"{one.repository}:{one.tag}" for one in asked.containers)
    assert asked.bucket is not None
    yield from (f"{asked.bucket.url}/{key}" for key in keys(asked))
    setting = preparation(site(PUBLISHED_SITE), DEFAULT_BRANCH, "amd64").setting
    yield from (cache.url for cache in setting.caches.values())


def written_by(run: Mapping[str, str]) -> set[str]:
    """All that jobs of a run are told to push, tag, upload or mark."""
    return set(_written(run))


def _written(run: Mapping[str, str]) -> Iterator[str]:
    base = base_pipeline.plan(inputs(environment=run, text=PUBLISHED_SITE), unknown())
    asked = containers_of(run)
    built = plan(asked, unknown(), Publications({}))
    for document in (base.pipeline.document(), built.pipeline.document()):
        for job in expand(document).values():
            variables = job.get("variables", {})
            yield from (variables[one] for one in ("IMAGE", "CONTENT_IMAGE", "TARGET") if one in variables)
    if asked.bucket:
        files = [one.record.file_name for one in asked.containers]
        yield from (f"{asked.bucket.url}/{name}" for name in (*files, *keys(asked)))
    yield preparation(site(PUBLISHED_SITE), run, "amd64").setting.destination.url


@given(names, kinds)
@example("latest", "branch")
@example("main", "merge request")
@example("main", "tag")
def test_nothing_that_others_write_is_read_by_the_default_branch(name: str, kind: str) -> None:
    run = run_of(name, kind)
    context = Context.from_environment(run)
    if context.is_default_branch:
        return
    read, written = read_by_the_default_branch(), written_by(run)
    assert written
    assert not written & read
    # It lists a bucket, but not what lies in folders there.
    assert not [one for one in written if re.fullmatch(r"s3://sifs/containers/[^/]+", one)]


@given(names, kinds)
def test_on_clusters_others_have_files_of_their_own_and_never_set_what_is_current(name: str, kind: str) -> None:
    run = run_of(name, kind)
    if Context.from_environment(run).is_default_branch:
        return
    (ours,), (theirs,) = containers_of(DEFAULT_BRANCH).containers, containers_of(run).containers
    assert theirs.record.file_name != ours.record.file_name
    assert not theirs.record.is_release
    assert "/" not in theirs.record.file_name


def test_the_default_branch_writes_what_it_reads() -> None:
    """So that the words that are compared are the right ones."""
    read, written = read_by_the_default_branch(), written_by(DEFAULT_BRANCH)
    assert read - written == set()
    assert json.dumps(sorted(read)).count("s3://sifs/containers/") == 3
