"""Image references."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.registries.reference import is_container_name, parse_reference


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("ubuntu", "docker.io/library/ubuntu:latest"),
        ("index.docker.io/ubuntu:24.04", "docker.io/library/ubuntu:24.04"),
        ("a/b", "docker.io/a/b:latest"),
        ("host:5000/b", "host:5000/b:latest"),
        ("HOST/b", "HOST/b:latest"),
        ("[::1]:5000/b", "[::1]:5000/b:latest"),
    ],
)
def test_defaults_are_those_of_container_tools(text: str, full: str) -> None:
    assert str(parse_reference(text)) == full


@pytest.mark.parametrize("text", ["", "A", "a:", "a:-x", "a@", "a@b", "a//b", "/a", "a/", "a b", f"a:{'x' * 129}"])
def test_what_is_no_reference_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no"):
        parse_reference(text)


@given(st.text(max_size=40))
def test_a_reference_reads_back_as_itself(text: str) -> None:
    try:
        reference = parse_reference(text)
    except ValueError:
        return
    assert parse_reference(str(reference)) == reference


@given(st.text(max_size=10))
def test_container_names_are_legal_repositories(text: str) -> None:
    if is_container_name(text):
        assert parse_reference(f"host:1/{text}").repository == text
