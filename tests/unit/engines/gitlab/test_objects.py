"""GitLab's nouns."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_creator.engines.gitlab.objects import Artifacts, Job, Need, Pipeline, expand


def job(name: str = "a", **changes: Any) -> Job:
    values: dict[str, Any] = {
        "kind": "k",
        "stage": "s",
        "script": ("true",),
        "image": "i",
        "tags": ("t",),
        **changes,
    }
    return Job(name=name, **values)


def test_falsy_values_are_written() -> None:
    """D39: `interruptible: false` and empty lists vanished."""
    document = job(interruptible=False, needs=()).document()
    assert document["interruptible"] is False
    assert document["needs"] == []


def test_only_infrastructure_failures_are_retried() -> None:
    assert "script_failure" not in job().document()["retry"]["when"]
    assert "always" not in job().document()["retry"]["when"]


def test_needs_are_written_as_short_as_they_can_be() -> None:
    assert Need("a").document() == "a"
    assert Need("a", artifacts=False).document() == {"job": "a", "artifacts": False}
    assert Need("a", pipeline="$P").document() == {"pipeline": "$P", "job": "a", "artifacts": True}


def test_what_jobs_of_a_kind_share_stands_once() -> None:
    pipeline = Pipeline(("s",), (job("a", variables={"X": "1", "Y": "a"}), job("b", variables={"X": "1", "Y": "b"})))
    document = pipeline.document()
    assert document["a"] == {"extends": ".k", "variables": {"Y": "a"}}
    assert document[".k"]["variables"] == {"X": "1"}


def test_stages_without_jobs_are_left_out() -> None:
    assert Pipeline(("r", "s", "t"), (job(),)).document()["stages"] == ["s"]


texts = st.text("ab$", max_size=3)
jobs = st.builds(
    job,
    name=st.sampled_from(["a", "b", "c", "d", "e"]),
    kind=st.sampled_from(["x", "y"]),
    script=st.lists(texts, max_size=2).map(tuple),
    image=texts,
    tags=st.lists(texts, max_size=2).map(tuple),
    needs=st.lists(st.builds(Need, texts, st.none() | texts, st.booleans()), max_size=2).map(tuple),
    variables=st.dictionaries(texts, texts, max_size=3),
    artifacts=st.none() | st.builds(Artifacts, st.lists(texts, max_size=2).map(tuple), texts, dotenv=st.none() | texts),
    interruptible=st.booleans(),
    resource_group=st.none() | texts,
)


@given(st.lists(jobs, max_size=6, unique_by=lambda one: one.name))
def test_sharing_changes_nothing_of_what_a_job_is(found: list[Job]) -> None:
    assert expand(Pipeline(("s",), tuple(found)).document()) == {one.name: one.document() for one in found}


def test_extends_merges_mappings_deeply_and_replaces_lists() -> None:
    document = {
        ".a": {"variables": {"X": "1"}, "tags": ["a"]},
        ".b": {"extends": ".a", "variables": {"Y": "2"}},
        "c": {"extends": [".a", ".b"], "tags": ["c"]},
    }
    assert expand(document) == {"c": {"variables": {"X": "1", "Y": "2"}, "tags": ["c"]}}


def test_keywords_of_the_whole_pipeline_are_no_jobs() -> None:
    document = {"stages": ["a"], "before_script": ["x"], "variables": {"A": "1"}, "a": {"script": ["x"]}}
    assert expand(document) == {"a": {"script": ["x"]}}


def test_jobs_are_found_by_name() -> None:
    assert Pipeline(("s",), (job("x"),)).job("x").name == "x"
    with pytest.raises(KeyError):
        Pipeline((), ()).job("x")
