"""What GitLab says about the run."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


def slug_of(name: str, **more: str) -> str:
    return Context.from_environment({"CI_COMMIT_REF_NAME": name, "CI_DEFAULT_BRANCH": "main", **more}).ref_slug


def test_names_that_are_slugs_stay_as_they_are() -> None:
    assert slug_of("x-y") == "x-y"
    assert slug_of("x/y") == "x-y-" + slug_of("x/y")[-12:]


NAMES = st.text("aXz09-/._é", min_size=1, max_size=70)


@given(NAMES, NAMES)
def test_no_two_branches_share_a_slug(first: str, second: str) -> None:
    made = slug_of(first), slug_of(second)
    assert (made[0] == made[1]) == (first == second)
    assert all(re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", one) for one in made)


def test_nobody_can_take_the_slug_of_another() -> None:
    """By a name that ends like a checksum, by a tag, or by a fork's branch of the same name."""
    of_slash = slug_of("x/y")
    taken = [
        of_slash,
        slug_of(of_slash),
        slug_of("x-y"),
        slug_of("x-y", CI_COMMIT_TAG="x-y"),
        slug_of("x-y", CI_MERGE_REQUEST_IID="1"),
        slug_of("x-y", CI_MERGE_REQUEST_IID="2"),
        slug_of("X-Y"),
    ]
    assert len(set(taken)) == len(taken)
