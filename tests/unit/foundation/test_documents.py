"""Documents of others: whatever is wrong with one is a `ValueError` or, where the kind is wrong, a `TypeError`."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.stores.documents import LATEST, json_of, packed_json_of, seconds_of, texts_of

DEEP = b"[" * 100_000


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe\x00", DEEP, b"1" * 5000])
def test_what_is_no_document_is_one_kind_of_error(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the messages are those of the libraries
        json_of(data)
    with pytest.raises(ValueError):  # noqa: PT011
        packed_json_of(gzip.compress(data))


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5), st.data())
def test_a_byte_that_changed_or_is_missing_is_no_other_error(value: Any, data: st.DataObject) -> None:
    packed = gzip.compress(json.dumps(value).encode(), mtime=0)
    assert packed_json_of(packed) == value
    place = data.draw(st.integers(0, len(packed) - 1))
    flipped = packed[:place] + bytes([packed[place] ^ data.draw(st.integers(1, 255))]) + packed[place + 1 :]
    for broken in (packed[:place], flipped):
        try:
            packed_json_of(broken)
        except ValueError:
            continue


@pytest.mark.parametrize("value", ["text", {"a": 1}, [1], None, ("a",)])
def test_only_a_list_of_texts_is_one(value: object) -> None:
    with pytest.raises(TypeError):
        texts_of(value)
    assert texts_of(["a", "b"]) == ("a", "b")


@pytest.mark.parametrize("value", ["1", True, None, float("nan"), float("inf"), -1, LATEST + 1])
def test_only_a_time_of_a_calendar_is_one(value: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        seconds_of(value)
    assert seconds_of(LATEST) == LATEST
