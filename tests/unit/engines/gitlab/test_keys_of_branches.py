"""Whatever a site says: what is generated for branches and merge requests names no key that writes what is released."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.errors import InvalidInputError
from foundation.yaml_io import dump
from tests.samples import BRANCH, DEFAULT_BRANCH, MERGE_REQUEST, site
from tests.written import everything_written

RELEASE = {**BRANCH, "CI_COMMIT_REF_NAME": "release/1"}
TAG = {**DEFAULT_BRANCH, "CI_COMMIT_TAG": "main"}
LAPTOP: dict[str, str] = {}
OWN, OTHERS = ("A", "B"), ("C", "D", "E", "B")
"""Pairs of keys, so few that sites give one name to several things."""
USUAL = {
    "build_cache": ("AWS_CACHE_ACCESS_KEY_ID", "AWS_CACHE_SECRET_ACCESS_KEY"),
    "containers": ("AWS_INFRASTRUCTURE_ACCESS_KEY_ID", "AWS_INFRASTRUCTURE_SECRET_ACCESS_KEY"),
    "source_mirror": ("AWS_CACHE_ACCESS_KEY_ID", "AWS_CACHE_SECRET_ACCESS_KEY"),
    "binary_mirror": ("AWS_CACHE_ACCESS_KEY_ID", "AWS_CACHE_SECRET_ACCESS_KEY"),
}

nothing: dict[str, Any] = {}
endpoints = st.sampled_from([nothing, {"endpoint": "https://s3.example.org"}])
pushes = st.sampled_from([nothing, {"push": "nobody"}, {"push": ["release/*"]}, {"push": ["*"]}])


@st.composite
def buckets(draw: st.DrawFn, kind: str) -> dict[str, Any]:
    """A bucket of the site file, with keys of all kinds given or left out."""
    if kind.endswith("mirror"):
        pushed = draw(pushes)
        return {**draw(places(OTHERS if "push" in pushed else OWN)), **pushed}
    branches = {"branches": draw(places(OTHERS))} if draw(st.booleans()) else nothing
    return {**draw(places(OWN)), **branches}


def pairs(names: Sequence[str]) -> st.SearchStrategy[dict[str, Any]]:
    return st.sampled_from(names).map(
        lambda name: {"access_key_id_variable": f"{name}_KEY", "secret_access_key_variable": f"{name}_SECRET"}
    )


@st.composite
def places(draw: st.DrawFn, names: Sequence[str]) -> dict[str, Any]:
    keys = draw(pairs(names)) if draw(st.booleans()) else nothing
    reader = {"reader": draw(pairs(OTHERS))} if draw(st.booleans()) else nothing
    return {"bucket": draw(st.sampled_from(["one", "two"])), **draw(endpoints), **keys, **reader}


@st.composite
def sites(draw: st.DrawFn) -> dict[str, Any]:
    """A site of two architectures."""
    return {
        "registry": {"image": "registry.example.org/group/containers"},
        "spack": draw(
            st.sampled_from(
                [
                    {"ref": "v0.22.2"},
                    {"ref": "v1.1.0", "packages": {"repository": "https://git.example.org/p.git", "ref": "v2025.11.0"}},
                ]
            )
        ),
        "architectures": {name: draw(architectures()) for name in ("amd64", "arm64")},
    }


@st.composite
def architectures(draw: st.DrawFn) -> dict[str, Any]:
    kept = ["build_cache", *draw(st.sets(st.sampled_from(["containers", "source_mirror", "binary_mirror"])))]
    variables = draw(st.sampled_from([nothing, {"OWN": "x${B_SECRET}"}, {"OWN": "$C_KEY"}, {"OWN": "plain"}]))
    return {"runner_tags": ["x"], "variables": variables, **{kind: draw(buckets(kind)) for kind in sorted(kept)}}


def writing_names(value: dict[str, Any]) -> set[str]:
    """The names of all keys that write what only the default branch may."""
    found: set[str] = set()
    for architecture in value["architectures"].values():
        for kind, usual in USUAL.items():
            bucket = architecture.get(kind)
            if bucket and "push" not in bucket:
                keys = zip(("access_key_id_variable", "secret_access_key_variable"), usual, strict=True)
                found |= {bucket.get(key, name) for key, name in keys}
    return found


def words(texts: dict[str, str]) -> set[str]:
    return {word for text in texts.values() for word in re.findall(r"[A-Za-z_][A-Za-z0-9_]*", text)}


SHARED = """\
spack: {ref: v0.22.2}
architectures:
  amd64: {runner_tags: [x], build_cache: {bucket: one, access_key_id_variable: A_KEY}}
  arm64:
    runner_tags: [x]
    %s
"""
CACHE = "build_cache: {bucket: two}"


@pytest.mark.parametrize(
    ("architecture", "place", "name"),
    [
        ("build_cache: {bucket: two, branches: {bucket: six, access_key_id_variable: A_KEY}}", "branches", "A_KEY"),
        (
            "build_cache: {bucket: two, reader: {access_key_id_variable: A_KEY, secret_access_key_variable: S}}",
            "reader",
            "A_KEY",
        ),
        (f"{CACHE}\n    source_mirror: {{bucket: six, push: [release/*]}}", "push", "AWS_CACHE_ACCESS_KEY_ID and"),
        (f"{CACHE}\n    variables: {{OWN: 'x${{A_KEY}}'}}", "OWN", "A_KEY"),
        (f"{CACHE}\n    jobs: {{packages: {{variables: {{OWN: $A_KEY}}}}}}", "OWN", "A_KEY"),
    ],
)
def test_a_site_that_would_give_them_away_is_refused_at_the_place(architecture: str, place: str, name: str) -> None:
    text = SHARED % architecture
    with pytest.raises(InvalidInputError) as caught:
        site(text)
    (fault,) = caught.value.faults
    assert f"branches would be given {name}" in fault.message
    line = text.splitlines()[fault.line - 1]
    assert line[: fault.column - 1].endswith(f"{place}: ")


READER = "reader: {access_key_id_variable: %s, secret_access_key_variable: S}"


@pytest.mark.parametrize(
    ("architecture", "place", "said"),
    [
        (f"{CACHE}\n    binary_mirror: {{bucket: six, access_key_id_variable: A_KEY}}", "binary_mirror", "A_KEY and"),
        (
            f"{CACHE}\n    binary_mirror: {{bucket: six, {READER % 'AWS_BRANCHES_ACCESS_KEY_ID'}}}",
            "reader",
            "AWS_BRANCHES_ACCESS_KEY_ID, which writes s3://",
        ),
        (f"build_cache: {{bucket: two, {READER % 'AWS_BRANCHES_ACCESS_KEY_ID'}}}", "reader", "AWS_BRANCHES"),
        (f"{CACHE}\n    variables: {{OWN: $SPACK_DEPLOYMENT_KEY_PRIVATE}}", "OWN", "SPACK_DEPLOYMENT_KEY_PRIVATE"),
        (f"{CACHE}\n    variables: {{SPACK_DEPLOYMENT_KEY_PRIVATE: x}}", "SPACK_DEPLOYMENT_KEY_PRIVATE", "SPACK_D"),
        (f"{CACHE}\n    jobs: {{packages: {{variables: {{OWN: 'x%CI_JOB_TOKEN%'}}}}}}", "OWN", "CI_JOB_TOKEN"),
        (f"{CACHE}\n    packages: {{'py-*': {{variables: {{OWN: 'x${{CI_REPOSITORY_URL}}'}}}}}}", "OWN", "CI_REPO"),
        (f"{CACHE}\n    variables: {{OWN: $AWS_BRANCHES_SECRET_ACCESS_KEY}}", "OWN", "AWS_BRANCHES_SECRET"),
    ],
)
def test_a_site_that_would_give_recipes_more_than_they_read_with_is_refused(
    architecture: str, place: str, said: str
) -> None:
    text = SHARED % architecture
    with pytest.raises(InvalidInputError) as caught:
        site(text)
    (fault,) = caught.value.faults
    assert f"would be given {said}" in fault.message
    line = text.splitlines()[fault.line - 1]
    assert line[: fault.column - 1].endswith(f"{place}: ")


@pytest.mark.parametrize("name", ["COSIGN_PASSWORD", "OUR_KEY"])
def test_the_key_of_cosign_is_a_secret_where_it_is_used(name: str) -> None:
    text = SHARED % f"{CACHE}\n    variables: {{OWN: ${name}}}"
    site(text)
    with pytest.raises(InvalidInputError, match=f"would be given {name}, which"):
        site(f"{text}signing: {{cosign: {{private_key_variable: OUR_KEY}}}}\n")


def test_branches_have_no_place_that_is_the_default_branchs() -> None:
    with pytest.raises(InvalidInputError, match="is the place of the default branch itself, s3://two/a"):
        site(SHARED % "build_cache: {bucket: two, prefix: a, branches: {bucket: two, prefix: a}}")


@given(sites(), st.sampled_from([BRANCH, RELEASE, MERGE_REQUEST, TAG, LAPTOP]))
def test_no_writing_key_of_the_default_branch_is_named_for_others(value: dict[str, Any], run: dict[str, str]) -> None:
    text = dump(value)
    try:
        site(text)
    except InvalidInputError as error:
        said = str(error)
        assert "would be given" in said or "is the place of the default branch itself" in said
        return
    found = everything_written(text, run)
    assert not words(found) & writing_names(value)


def test_the_default_branch_has_them() -> None:
    """So that the words that are looked for are the right ones."""
    architecture = {"runner_tags": ["x"], **{kind: {"bucket": "one"} for kind in USUAL}}
    value = {
        "spack": {"ref": "v0.22.2"},
        "registry": {"image": "registry.example.org/group/containers"},
        "architectures": dict.fromkeys(("amd64", "arm64"), architecture),
    }
    assert writing_names(value) <= words(everything_written(dump(value), DEFAULT_BRANCH))
