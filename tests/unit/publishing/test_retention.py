"""What goes and what stays: properties, and the clean-ups that went wrong before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_creator.publishing.record import PublicationRecord
from job_creator.publishing.retention import Placed, SifRemoval, deleted_branches, is_too_much, superseded
from job_creator.site.places import Retention
from tests.unit.publishing.records import MAIN, NOW, RELEASE, branch, days_ago

REFS = ["", MAIN, "refs/heads/a/b", "refs/heads/a-b", "refs/heads/A-B", "refs/heads/a_b", "refs/tags/a-b", "refs/x/1"]
SOME = st.builds(
    replace,
    st.just(RELEASE),
    container=st.sampled_from(["neuron", "neuron-nightly"]),
    tag=st.integers(1, 9).map("{}.0".format),
    architecture=st.sampled_from(["amd64", "arm64"]),
    ref=st.sampled_from(REFS),
    is_release=st.booleans(),
    published=st.just("") | st.integers(0, 60).map(days_ago),
)
PLACED = st.lists(st.builds(Placed, st.integers(0, 99).map(str), SOME), unique_by=lambda one: one.place)
RETENTION = st.builds(Retention, keep=st.integers(1, 4), older_than_days=st.integers(0, 40))


def gone(removals: Sequence[SifRemoval]) -> set[str]:
    return {removal.placed.place for removal in removals}


def line(record: PublicationRecord) -> tuple[str, str, str]:
    return record.container, record.ref, record.architecture


@given(PLACED, SOME, RETENTION)
def test_only_old_versions_of_the_same_line_go(
    placed: list[Placed], new: PublicationRecord, retention: Retention
) -> None:
    newest = Placed("0", replace(new, published=days_ago(0)))
    for removal in superseded(placed, newest, retention, NOW):
        one = removal.placed
        assert one.place != newest.place
        assert line(one.record) == line(new) != ("", "", "")
        assert new.ref
        assert one.record.is_release == new.is_release
        assert "" < one.record.published < days_ago(retention.older_than_days)
        stay = [
            other
            for other in placed
            if line(other.record) == line(new) and other.record.published >= one.record.published
        ]
        assert len(stay) >= retention.keep, "the newest, itself and others: beyond those that are kept"


@given(PLACED, SOME, RETENTION)
def test_enough_versions_stay_and_a_second_run_removes_nothing(
    placed: list[Placed], new: PublicationRecord, retention: Retention
) -> None:
    newest = Placed("new", replace(new, published=days_ago(0)))
    placed = [*placed, newest]
    going = gone(superseded(placed, newest, retention, NOW))
    left = [one for one in placed if one.place not in going]
    before = sum(line(one.record) == line(new) for one in placed)
    assert sum(line(one.record) == line(new) for one in left) >= min(before, retention.keep)
    assert not superseded(left, newest, retention, NOW)


@given(PLACED, SOME, RETENTION)
def test_plans_do_not_depend_on_the_order(placed: list[Placed], new: PublicationRecord, retention: Retention) -> None:
    newest = Placed("new", new)
    assert superseded(placed, newest, retention, NOW) == superseded(placed[::-1], newest, retention, NOW)


def test_both_the_number_and_the_age_are_needed() -> None:
    versions = [
        Placed(str(age), replace(RELEASE, tag=str(age), published=days_ago(age))) for age in (1, 10, 20, 30, 40)
    ]
    newest = Placed("new", replace(RELEASE, published=days_ago(0)))
    assert gone(superseded(versions, newest, Retention(keep=2, older_than_days=25), NOW)) == {"30", "40"}
    assert gone(superseded(versions, newest, Retention(keep=5, older_than_days=0), NOW)) == {"40"}
    assert gone(superseded(versions, newest, Retention(keep=1, older_than_days=0), NOW)) == {
        "1",
        "10",
        "20",
        "30",
        "40",
    }
    assert gone(superseded(versions, newest, Retention(keep=6, older_than_days=0), NOW)) == set()
    assert gone(superseded(versions, newest, Retention(keep=1, older_than_days=99), NOW)) == set()


def test_d55_a_branch_build_removes_no_release_however_old() -> None:
    release = Placed("release", replace(RELEASE, published=days_ago(400)))
    new = Placed("new", branch("feature", published=days_ago(0)))
    assert not superseded([release], new, Retention(keep=1, older_than_days=7), NOW)
    # Nor does something that calls itself by the name of the default branch, as a fork's merge request may.
    assert not superseded(
        [release], replace(new, record=replace(new.record, ref=MAIN)), Retention(keep=1, older_than_days=7), NOW
    )


def test_d55_a_release_removes_nothing_of_a_branch() -> None:
    old = Placed("old", branch("feature", published=days_ago(400)))
    assert not superseded([old], Placed("new", RELEASE), Retention(keep=1, older_than_days=7), NOW)


def test_d55_names_that_start_alike_are_not_the_same_container() -> None:
    old = Placed("old", replace(RELEASE, container="neuron-nightly", published=days_ago(400)))
    assert not superseded([old], Placed("new", RELEASE), Retention(keep=1, older_than_days=7), NOW)


@given(PLACED, st.sets(st.sampled_from(REFS)))
def test_what_goes_with_its_branch(placed: list[Placed], live: set[str]) -> None:
    removals = deleted_branches(placed, live, MAIN)
    for removal in removals:
        record = removal.placed.record
        assert record.ref not in live
        assert record.ref.startswith(("refs/heads/", "refs/tags/"))
        assert record.ref != MAIN
        assert not record.is_release
    left = [one for one in placed if one.place not in gone(removals)]
    assert not deleted_branches(left, live, MAIN)
    assert all(
        one.record.ref in live or one.record.is_release or one.record.ref in ("", MAIN, "refs/x/1") for one in left
    ), "everything else is gone"


@given(PLACED)
def test_nothing_goes_while_every_ref_lives(placed: list[Placed]) -> None:
    assert not deleted_branches(placed, set(REFS), MAIN)


@pytest.mark.parametrize(
    ("defect", "ref", "tag"),
    [
        ("D51: the ending .sif was taken for a part of the branch", "my-branch", "8.2.4__my-branch"),
        ("D53: a slug is not the name of its branch", "heeren/opensourcing", "9.0__heeren-opensourcing"),
        ("D53: nor where it has capitals or underscores", "Fix_THIS", "9.0__fix-this"),
        ("D54: nor with an architecture behind it", "my-branch", "9.0__my-branch-arm64"),
        ("a branch that is called like a file", "x.sif", "9.0__x-sif"),
        ("a branch that is called like an architecture", "amd64", "latest__amd64"),
        ("letters of any alphabet", "größe/ß", "9.0__gr-e"),
    ],
)
def test_d51_d53_d54_files_of_live_branches_stay_whatever_they_are_called(defect: str, ref: str, tag: str) -> None:
    placed = [Placed(f"s3://x/neuron__{tag}.sif", branch(ref, tag))]
    assert not deleted_branches(placed, {MAIN, f"refs/heads/{ref}"}, MAIN), defect
    assert gone(deleted_branches(placed, {MAIN}, MAIN)) == {placed[0].place}, "and go when the branch is gone"
    other = {MAIN, f"refs/heads/{ref}".swapcase(), f"refs/heads/{ref}/x", f"refs/tags/{ref}", f"refs/heads/{tag}"}
    assert gone(deleted_branches(placed, other, MAIN)) == {placed[0].place}, "names are compared to the letter"


def test_d52_releases_stay_whatever_their_tag() -> None:
    placed = [Placed("x", replace(RELEASE, container="nexus-storage", tag="latest__amd64"))]
    assert not deleted_branches(placed, {MAIN}, MAIN)
    assert not deleted_branches(placed, {"refs/heads/trunk"}, "refs/heads/trunk"), "also after the branch was renamed"


def test_five_files_may_always_go_and_more_only_in_proportion() -> None:
    def too_much(going: int, staying: int, percent: float = 50) -> bool:
        placed = [Placed(str(number), branch(f"b{number}")) for number in range(going + staying)]
        placed += [Placed("release", RELEASE), Placed("marker", branch("b0"), is_marker=True)]
        removals = [SifRemoval(one, "gone") for one in placed[:going]]
        return is_too_much(removals, placed, MAIN, percent)

    assert not too_much(5, 0)
    assert too_much(6, 0)
    assert too_much(6, 5)
    assert not too_much(6, 6)
    assert not too_much(6, 0, 100)
    assert too_much(6, 100, 5)


def test_markers_do_not_count_as_files() -> None:
    placed = [Placed(str(number), branch(f"b{number}"), is_marker=True) for number in range(20)]
    assert not is_too_much([SifRemoval(one, "gone") for one in placed], placed, MAIN, 50)
