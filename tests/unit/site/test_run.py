"""What GitLab says about the run."""

from __future__ import annotations

import pytest

from job_creator.site.run import Context, slug
from tests.samples import BRANCH, DEFAULT_BRANCH, MERGE_REQUEST


def test_a_laptop_is_never_production() -> None:
    """D24: outside CI two missing variables were equal."""
    context = Context.from_environment({})
    assert not context.is_default_branch
    assert context.ref_slug == "local"


def test_the_default_branch_is_recognised_whatever_characters_it_has() -> None:
    """D24: a slug was compared with a branch name."""
    names = {
        "CI_COMMIT_REF_NAME": "Release/24_x",
        "CI_COMMIT_REF_SLUG": "release-24-x",
        "CI_DEFAULT_BRANCH": "Release/24_x",
    }
    assert Context.from_environment(names).is_default_branch


@pytest.mark.parametrize("environment", [BRANCH, MERGE_REQUEST, {**DEFAULT_BRANCH, "CI_COMMIT_TAG": "main"}])
def test_branches_merge_requests_and_tags_are_not_the_default_branch(environment: dict[str, str]) -> None:
    """A merge request of a fork can come from a branch that is called like the default one."""
    assert not Context.from_environment(environment).is_default_branch


def test_merge_requests_are_seen_in_child_pipelines_too() -> None:
    assert Context.from_environment(MERGE_REQUEST).is_merge_request
    assert not Context.from_environment(BRANCH).is_merge_request


@pytest.mark.parametrize(
    ("name", "expected"),
    [("Feature/X_1", "feature-x-1"), ("--a--", "a"), ("é" * 3, ""), ("a" * 62 + "/b", "a" * 62), ("x" * 80, "x" * 63)],
)
def test_slugs_are_gitlabs(name: str, expected: str) -> None:
    assert slug(name) == expected
