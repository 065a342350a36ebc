"""YAML in and out."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import CollectionEndEvent, CollectionStartEvent

from foundation.errors import InvalidInputError
from foundation.validation import validate
from foundation.yaml_io import MAX_DEPTH, MAX_VALUES, Position, depth_at_most, dump, parse
from job_creator.definitions.file import DefinitionFile
from tests.samples import REPOSITORY
from tests.strategies import trees


def fault(content: bytes) -> str:
    with pytest.raises(InvalidInputError) as caught:
        parse(content, "f.yaml")
    return str(caught.value)


def test_values_have_the_places_they_came_from() -> None:
    document = parse(b"a: 1\nb:\n  - x\n  - {c: 2}\n", "f.yaml")
    assert document.value == {"a": 1, "b": ["x", {"c": 2}]}
    assert document.position(("b", 1, "c")) == Position(4, 9)
    assert document.position(("b", 1, "c"), of_key=True) == Position(4, 6)
    assert document.position(("b", 1, "missing", 3)) == Position(4, 5)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\ta: 1\n", "f.yaml:1:1: a tab where YAML wants spaces"),
        (b"a:\n\t- b\n", "f.yaml:2:1: a tab where YAML wants spaces"),
        (b"a: 1\nb: 2\na: 3\n", "f.yaml:3:1: 'a' was already given in line 1"),
        (b"a: 1\n---\nb: 2\n", "f.yaml:2:1: a second YAML document starts here"),
        (b"ok: 1\nbad: \xff\n", "f.yaml:2:6: not UTF-8 text"),
        (b"a: &x [*x]\n", "f.yaml:1:4: an anchor that holds an alias of itself"),
        (b"a: !!python/object:os.system x\n", "f.yaml:1:4: the tag"),
        (b"1: x\n", "f.yaml:1:1: a key that is not text; put it in quotes"),
        (b"? [a]\n: x\n", "f.yaml:1:3: a key that is not text"),
        (b"a: 'x\n", "not readable as YAML"),
        (b"a: @x\n", "f.yaml:1:4: '@' cannot start a value; put the value in quotes"),
        (b'a: "\\ud800"\n', "f.yaml:1:4: half of a surrogate pair"),
        (b"[" * 100_000, "f.yaml:1:101: nested over 100 deep"),
        (b"- " * 100_000, "nested over 100 deep"),
    ],
)
def test_what_cannot_be_read_is_a_fault_with_a_place(content: bytes, message: str) -> None:
    assert message in fault(content)


@given(
    st.text("[]{}-?:,ab'\"&*!|>#% \n\t\r\x85\u2028\ufeff", max_size=60) | st.text("-?: \na[", max_size=40),
    st.booleans(),
)
def test_no_text_nests_deeper_than_is_supposed_without_reading_it(text: str, pure: bool) -> None:
    depth = deepest = 0
    with suppress(YAMLError):
        for event in YAML(typ="safe", pure=pure).parse(text):
            depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
            deepest = max(deepest, depth)
    assert deepest <= depth_at_most(text)


@pytest.mark.parametrize("nested", ["- a:\n  - b:\n    - c: [d: [e: {f: g}]]\n", "? - ? - a\n", "a:\n- b:\n  - c\n"])
def test_what_is_written_by_hand_is_known_to_be_flat_enough(nested: str) -> None:
    assert depth_at_most(nested) <= MAX_DEPTH


def test_aliases_of_aliases_do_not_fill_the_memory() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    assert f"expands to over {MAX_VALUES} values" in fault("\n".join(lines).encode())


def test_merge_keys_work_and_own_keys_win() -> None:
    document = parse(b"x: &a {p: 1, q: 1}\ny:\n  <<: *a\n  q: 2\n", "f.yaml")
    assert document.value["y"] == {"p": 1, "q": 2}


def test_scalars_are_read_as_yaml_1_2_like_spack_does() -> None:
    assert parse(b"{a: yes, b: 012, c: 12:30, d: 2024-01-01}", "f").value == {
        "a": "yes",
        "b": 12,
        "c": "12:30",
        "d": "2024-01-01",
    }


def test_urls_may_stand_unquoted_in_flow_mappings() -> None:
    assert parse(b"{url: https://example.org/x}", "f").value == {"url": "https://example.org/x"}


@given(st.binary(max_size=200))
def test_any_bytes_give_a_value_or_a_fault(content: bytes) -> None:
    try:
        parse(content, "f.yaml")
    except InvalidInputError as error:
        assert all(fault.line >= 1 and fault.column >= 1 for fault in error.faults)


@given(trees)
def test_what_is_written_is_read_back_alike_by_every_yaml_version(value: Any) -> None:
    text = dump(value)
    assert YAML(typ="safe", pure=True).load(text) == value
    older = YAML(typ="safe", pure=True)
    older.version = (1, 1)
    assert older.load(text) == value


@pytest.mark.parametrize("text", ["yes", "No", "on", "y", "012", "0o7", "1_000", "12:30", "1e3", "~", "null", "=", ""])
def test_text_that_gitlab_would_take_for_something_else_is_quoted(text: str) -> None:
    assert dump({"A": text}) == f"A: '{text}'\n"


def test_numbers_and_booleans_stay_what_they_are() -> None:
    """D7: integers became `!!int "4"`."""
    assert dump({"a": 4, "b": True, "c": "4"}) == "a: 4\nb: true\nc: '4'\n"


def test_scripts_are_written_as_blocks_without_anchors() -> None:
    shared = ["a\nb\n"]
    assert dump({"b": shared, "c": shared}) == "b:\n- |\n  a\n  b\nc:\n- |\n  a\n  b\n"


REAL = sorted((REPOSITORY / "tests" / "data" / "spack_yaml").iterdir())


@pytest.mark.parametrize("path", REAL, ids=lambda path: path.stem)
def test_real_environments_survive_a_round_trip(path: Path) -> None:
    """What we read is what ruamel.yaml's own round-trip loader (and so Spack) reads, before and after writing."""
    value = parse(path.read_bytes(), path.name).value
    assert YAML(typ="rt").load(path.read_text()) == value
    assert YAML(typ="rt").load(dump(value)) == value


@pytest.mark.parametrize("path", REAL, ids=lambda path: path.stem)
def test_real_environments_are_valid_definitions(path: Path) -> None:
    document = parse(path.read_bytes(), path.name)
    assert validate(DefinitionFile, document).spack.specs
