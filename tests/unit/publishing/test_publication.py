"""Records come out of metadata and JSON as they went in, or not at all."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.errors import InvalidInputError
from job_creator.publishing.record import MAX_METADATA, PublicationRecord
from tests.unit.publishing.records import RELEASE, branch, records

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(records())
def test_metadata_and_json_give_the_record_back(record: PublicationRecord) -> None:
    assert PublicationRecord.from_metadata(record.to_metadata()) == record
    assert PublicationRecord.from_json(record.to_json(), "record.json") == record


@given(records())
def test_metadata_survives_http_and_fits(record: PublicationRecord) -> None:
    metadata = record.to_metadata()
    assert all(re.fullmatch(r"[a-z0-9-]+", key) for key in metadata), "proxies drop underscores"
    assert all(re.fullmatch(r"[!-~]+", value) for value in metadata.values())
    assert sum(len(key) + len(value) for key, value in metadata.items()) <= MAX_METADATA


@given(records(), st.data())
def test_metadata_that_was_damaged_is_nobodys_or_reads_as_written(
    record: PublicationRecord, data: st.DataObject
) -> None:
    """A damaged ref that read as another name would be taken for a deleted branch."""
    metadata = record.to_metadata()
    key = data.draw(st.sampled_from(sorted(metadata)))
    metadata[key] = data.draw(st.text(st.characters(codec="ascii"), max_size=20) | st.sampled_from(["%ff", "%C3", "٣"]))
    read = PublicationRecord.from_metadata(metadata)
    assert read is None or read.to_metadata() == metadata


@given(st.dictionaries(st.text(), st.text()))
def test_other_metadata_is_not_ours(metadata: dict[str, str]) -> None:
    assert PublicationRecord.from_metadata(metadata) is None


@pytest.mark.parametrize("key", ["record-version", "container", "tag", "is-release", "container-checksum"])
def test_metadata_without_one_of_these_is_not_ours(key: str) -> None:
    metadata = RELEASE.to_metadata()
    del metadata[key]
    assert PublicationRecord.from_metadata(metadata) is None


def test_metadata_of_other_tools_does_not_disturb() -> None:
    assert PublicationRecord.from_metadata({**RELEASE.to_metadata(), "s3cmd-attrs": "uid:0"}) == RELEASE


def test_a_number_that_never_ends_is_not_ours() -> None:
    assert PublicationRecord.from_metadata({**RELEASE.to_metadata(), "size": "9" * 5000}) is None


@given(JSON)
def test_rubbish_is_invalid_input(value: object) -> None:
    with pytest.raises(InvalidInputError):
        PublicationRecord.from_json(json.dumps(value), "record.json")


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("container", "a/b", "'container' cannot be 'a/b'"),
        ("container", "..", "'container' cannot be '..'"),
        ("tag", "../x", "'tag' cannot be '../x'"),
        ("tag", "", "'tag' cannot be ''"),
        ("ref", "main", "'ref' cannot be 'main'"),
        ("ref", "refs/heads/\udc80", "'ref' must be text"),
        ("is_release", "yes", "'is_release' must be true or false"),
        ("is_release", 1, "'is_release' must be true or false"),
        ("size", True, "'size' must be a number of bytes"),
        ("size", -1, "'size' must be a number of bytes"),
        ("container_checksum", "A" * 64, "'container_checksum' cannot be"),
        ("image_digest", "sha256:1", "'image_digest' cannot be 'sha256:1'"),
        ("published", "yesterday", "'published' must look like 2025-01-31T12:00:00Z"),
        ("surprise", 1, "unknown field 'surprise'"),
        ("pipeline_url", "x" * 2000, "2048 are allowed"),
    ],
)
def test_what_is_wrong_in_json_is_said(field: str, value: object, message: str) -> None:
    text = json.dumps({"record_version": 1, **asdict(RELEASE), field: value})
    with pytest.raises(InvalidInputError, match=re.escape(message)):
        PublicationRecord.from_json(text, "record.json")


def test_all_faults_are_said_at_once() -> None:
    with pytest.raises(InvalidInputError) as caught:
        PublicationRecord.from_json('{"record_version": 1, "container": "A"}', "record.json")
    assert len(caught.value.faults) == 7


@pytest.mark.parametrize("text", [b"{", b"\xff\xfe", b"[]", b'{"record_version": 2}', b"null", b""])
def test_what_is_no_record_is_said_with_its_place(text: bytes) -> None:
    with pytest.raises(InvalidInputError, match=r"record\.json:1:"):
        PublicationRecord.from_json(text, "record.json")


def test_the_longest_ref_that_fits_still_fits_when_it_is_published() -> None:
    """What publishing adds counts from the start: nothing may fail after hours of building."""
    record = branch("x", pipeline_url="https://gitlab.example.org/" + "x" * 1000)
    longest = next(
        accepted
        for length in range(1000, 0, -1)
        if (accepted := _accepted(replace(record, ref="refs/heads/" + "x" * length)))
    )
    digest = "sha256:" + "f" * 64
    added = replace(longest, image_digest=digest, sha256="f" * 64, size=10**13, published="2025-01-31T12:00:00Z")
    assert 1900 < sum(len(key) + len(value) for key, value in added.to_metadata().items()) <= MAX_METADATA


def _accepted(record: PublicationRecord) -> PublicationRecord | None:
    try:
        return PublicationRecord.from_json(record.to_json(), "record.json")
    except InvalidInputError:
        return None


def test_file_names() -> None:
    assert RELEASE.file_name == "neuron__9.0.sif"
    assert branch("feature/X", "9.0__feature-x-arm64").file_name == "neuron__9.0__feature-x-arm64.sif"
