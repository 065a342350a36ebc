"""Statements in envelopes: one spelling, and nothing that was not written here counts."""

from __future__ import annotations

import base64
import json

from hypothesis import given
from hypothesis import strategies as st

from job_creator.provenance.intoto import NOT_A_STATEMENT, PAYLOAD_TYPE, Ingredient, Origin, opened, read_origin
from job_creator.provenance.signing import NO_KEY, UNSIGNED
from job_creator.provenance.statements import canonical
from job_creator.proving.claims import OriginClaims, of_origin, of_record, origin_of
from tests.unit.publishing.records import records

ORIGIN = Origin(
    (Ingredient("layout", "a" * 64), Ingredient("object 1", "b" * 64)),
    {"container": "app", "version": "1", "architecture": "amd64", "ref": "refs/heads/main", "is_default_branch": True},
    "c" * 64,
    (Ingredient("image", "d" * 64), Ingredient("spack.lock", "e" * 64)),
    "https://gitlab.example.org/group/containers",
    "f" * 40,
    "https://gitlab.example.org/group/containers",
    "https://gitlab.example.org/group/containers/-/pipelines/1",
)


def enveloped(payload: bytes, **changes: object) -> bytes:
    value = {"payload": base64.b64encode(payload).decode(), "payloadType": PAYLOAD_TYPE, "signatures": [{"sig": ""}]}
    return canonical({**value, **changes})


def test_a_statement_is_what_in_toto_and_slsa_say() -> None:
    value = ORIGIN.to_value()
    assert value["_type"] == "https://in-toto.io/Statement/v1"
    assert value["predicateType"] == "https://slsa.dev/provenance/v1"
    assert value["subject"][0] == {"name": "layout", "digest": {"sha256": "a" * 64}}
    built = value["predicate"]["buildDefinition"]
    assert {"uri": "spack.lock", "digest": {"sha256": "e" * 64}} in built["resolvedDependencies"]
    assert built["resolvedDependencies"][-1]["digest"] == {"gitCommit": "f" * 40}
    assert read_origin(value) == ORIGIN


@given(records())
def test_a_record_and_its_statement_say_the_same(record: object) -> None:
    origin = origin_of(record, (), "https://gitlab.example.org/x")  # type: ignore[arg-type]
    back = read_origin(json.loads(canonical(origin.to_value())))
    assert back == origin
    assert of_origin(origin) == of_record(record)  # type: ignore[arg-type]
    assert of_record(record).differences(of_origin(origin)) == ()  # type: ignore[arg-type]


def test_claims_that_one_side_does_not_make_are_no_difference() -> None:
    assert OriginClaims(container="a").differences(OriginClaims(version="1")) == ()
    assert OriginClaims(container="a", version="2").differences(OriginClaims("b", "1")) == ("container", "version")


@given(st.binary(max_size=200))
def test_whatever_is_no_envelope_is_told(content: bytes) -> None:
    assert opened(content, None).verdict.reason == NOT_A_STATEMENT
    assert opened(enveloped(content), None).verdict.reason == NOT_A_STATEMENT


def test_an_envelope_has_one_spelling_and_one_signature() -> None:
    payload = canonical(ORIGIN.to_value())
    good = enveloped(payload)
    assert opened(good, None).origin == ORIGIN
    assert opened(good, None).verdict.reason == NO_KEY
    assert opened(good.replace(b",", b", ", 1), None).origin is None
    assert opened(enveloped(payload, payloadType="text/plain"), None).origin is None
    for signatures in ([], [{"sig": ""}, {"sig": ""}], ["x"]):
        assert opened(enveloped(payload, signatures=signatures), None).verdict.reason == UNSIGNED
    more = {**ORIGIN.to_value(), "more": 1}
    assert opened(enveloped(canonical(more)), None).origin is None
