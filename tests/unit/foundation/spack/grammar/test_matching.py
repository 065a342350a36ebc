"""Concrete specs held against spec strings: as recorded Spacks do it, and what nobody can tell without recipes."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.spack.grammar.concrete import ConcreteNode, concrete_node
from foundation.spack.grammar.matching import CannotJudgeError, Matcher, why_not_judged
from foundation.spack.grammar.parser import parse_spec
from foundation.spack.grammar.spec import AbstractSpec, Misspelt
from foundation.spack.grammar.targets import TARGETS, is_target_among, runs_on
from foundation.spack.grammar.versions import read_versions
from foundation.spack.releases import SpackLine
from tests.record_matches import nodes_with_variations
from tests.samples import REPOSITORY

DATA = REPOSITORY / "tests" / "data"
LINES = [SpackLine(0, 23), SpackLine(1, 1)]


@cache
def concrete(line: SpackLine) -> dict[str, ConcreteNode]:
    lockfile = DATA / "spack_ci" / f"spack-{line}" / "hdf5-tools" / "concrete_environment" / "spack.lock"
    nodes = nodes_with_variations(json.loads(lockfile.read_text(encoding="utf-8")))
    return {hash_: concrete_node(node) for hash_, node in nodes.items()}


@cache
def matcher(line: SpackLine) -> Matcher:
    nodes = concrete(line)
    return Matcher(line, nodes.get, {node.name for node in nodes.values()})


def recorded(line: SpackLine) -> dict[str, Any]:
    """What a real Spack said; made by tests/record_matches.py."""
    found: dict[str, Any] = json.loads((DATA / "spack_specs" / f"matched-{line}.json").read_text(encoding="utf-8"))
    return found


def said(line: SpackLine, text: str) -> list[str] | str:
    asked = parse_spec(text, line)
    if isinstance(asked, Misspelt):
        return asked.message
    try:
        return sorted(hash_ for hash_, node in concrete(line).items() if matcher(line).satisfies(node, asked))
    except CannotJudgeError as error:
        return error.why.message


@pytest.mark.parametrize("line", LINES, ids=str)
def test_the_verdicts_are_those_of_spack(line: SpackLine) -> None:
    verdicts = recorded(line)
    assert sum(isinstance(one, list) and bool(one) for one in verdicts.values()) > 120
    differ = {}
    for text, theirs in verdicts.items():
        if text == "target=*":  # Spack 0.23 finds none with that, 1.1 all; it is refused
            assert "says nothing" in said(line, text)
            continue
        ours = said(line, text)
        if ours != theirs and not (isinstance(ours, str) and isinstance(theirs, str)):
            differ[text] = (ours, theirs)
    assert differ == {}


def asked(text: str) -> AbstractSpec:
    found = parse_spec(text, SpackLine(1, 1))
    assert isinstance(found, AbstractSpec)
    return found


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("zlib@git.main", 1),
        ("hdf5 ^zlib@git.main", 7),
        ("zlib target=zen33", 6),
        ("zlib target=zen3:zen44", 6),
        ("zlib os=default_os", 6),
        ("zlib arch=linux-debian12-fe", 6),
        ("zlib os=*", 6),
        ("zlib %%gcc", 6),
        ("zlib ^[when=+a] x", 6),
        ("zlib ^[deptypes=build] x", 6),
    ],
)
def test_what_nobody_can_judge_is_told_with_its_place(text: str, column: int) -> None:
    why = why_not_judged(asked(text))
    assert why
    assert (why.column, bool(why.hint)) == (column, True)


def test_a_compiler_before_spack_1_is_one_whatever_it_is_called_now() -> None:
    old = {"name": "app", "hash": "a", "version": "1", "compiler": {"name": "clang", "version": "15.0.7"}}
    node = concrete_node(old)
    by = Matcher(SpackLine(1, 1), lambda _: None)
    assert by.satisfies(node, asked("%clang@15"))
    assert by.satisfies(node, asked("%llvm@15:"))
    assert not by.satisfies(node, asked("%clang@14"))
    assert not by.satisfies(node, asked("%gcc"))
    with pytest.raises(CannotJudgeError, match="not known of specs before"):
        by.satisfies(node, asked("%c"))


def test_targets_that_newer_spacks_know_are_judged_by_what_they_say_of_themselves() -> None:
    assert is_target_among("zen9", "zen3:", ["zen5"])
    assert not is_target_among("zen9", ":zen5", ["zen5"])
    assert is_target_among("zen9", "zen9")
    with pytest.raises(LookupError):
        is_target_among("zen9", "zen3:")


@given(st.sampled_from(sorted(TARGETS)), st.sampled_from(sorted(TARGETS)))
def test_targets_are_ordered_in_part(one: str, other: str) -> None:
    below, above = is_target_among(one, f":{other}"), is_target_among(one, f"{other}:")
    assert (below and above) == (one == other)
    assert below == (runs_on(one) <= runs_on(other))
    assert is_target_among(one, f"{one}:{one}")


NUMBERS = st.from_regex(r"[0-9]{1,2}(\.[0-9]{1,2}){0,2}", fullmatch=True)


@given(NUMBERS, NUMBERS)
def test_a_version_stands_for_all_that_begin_with_it(one: str, more: str) -> None:
    assert read_versions(one).hold(f"{one}.{more}")
    assert read_versions(f"{one}:").hold(f"{one}.{more}")
    assert read_versions(f":{one}").hold(f"{one}.{more}")
    assert not read_versions(f"={one}").hold(f"{one}.{more}")
    assert read_versions(f"={one}").hold(one)
    assert not read_versions(one).hold("develop")
