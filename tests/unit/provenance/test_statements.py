"""Statements have one spelling, and nothing else is read as one."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_creator.provenance.statements import LARGEST, Statement, StatementKind, canonical
from tests.strategies import texts

DIGEST = "sha256:" + "a" * 64
STATEMENT = Statement(
    kind=StatementKind.BASE_IMAGE,
    subject=DIGEST,
    name="registry.example.org/group/builder",
    architecture="amd64",
    fingerprint="b" * 64,
    ref="refs/heads/main",
    is_default_branch=True,
    made="2026-11-27T12:00:00Z",
)


@given(texts, texts, st.booleans(), st.sampled_from(list(StatementKind)))
def test_what_is_written_is_read(name: str, ref: str, is_default: bool, kind: StatementKind) -> None:
    written = replace(STATEMENT, name=f"n{name}", ref=ref, is_default_branch=is_default, kind=kind)
    assert Statement.from_bytes(written.to_bytes()) == written


@given(st.data())
def test_no_other_spelling_counts(data: st.DataObject) -> None:
    content = STATEMENT.to_bytes()
    place = data.draw(st.integers(0, len(content) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != content[place]))
    changed = content[:place] + bytes([other]) + content[place + 1 :]
    read = Statement.from_bytes(changed)
    assert read is None or (read != STATEMENT and read.to_bytes() == changed)


VALUE = json.loads(STATEMENT.to_bytes())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"[" * 15000,
        STATEMENT.to_bytes() + b"\n",
        json.dumps(VALUE).encode(),
        canonical({**VALUE, "format": 2}),
        canonical({**VALUE, "more": ""}),
        canonical({**VALUE, "kind": "cake"}),
        canonical({**VALUE, "subject": "a" * 64}),
        canonical({**VALUE, "fingerprint": ""}),
        canonical({**VALUE, "is_default_branch": 1}),
        canonical({**VALUE, "ref": None}),
        canonical({**VALUE, "made": "today"}),
        canonical({name: one for name, one in VALUE.items() if name != "ref"}),
        canonical({**VALUE, "ref": "x" * LARGEST}),
    ],
)
def test_what_is_no_statement_is_none(content: bytes) -> None:
    assert Statement.from_bytes(content) is None
