"""Spec strings: what Spack accepts, what it refuses, and where the mistake is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.spack.grammar.parser import parse_spec
from foundation.spack.grammar.spec import AbstractSpec, Attribute, Edge, Misspelt
from foundation.spack.grammar.versions import read_versions
from foundation.spack.releases import SUPPORTED, SpackLine
from tests.samples import REPOSITORY

LINES = st.sampled_from(SUPPORTED)
AGREEMENT = 0.99


def _recording(line: SpackLine) -> Path:
    return REPOSITORY / "tests" / "data" / "spack_specs" / f"spack-{line}.json"


def recorded(line: SpackLine) -> dict[str, str]:
    """What a real Spack said; made by tests/record_specs.py."""
    verdicts: dict[str, str] = json.loads(_recording(line).read_text(encoding="utf-8"))
    return verdicts


@pytest.mark.parametrize("line", [SpackLine(0, 23), SpackLine(1, 1)], ids=str)
def test_the_verdicts_are_those_of_spack(line: SpackLine) -> None:
    verdicts = recorded(line)
    differ = [text for text, why in verdicts.items() if isinstance(parse_spec(text, line), Misspelt) != bool(why)]
    assert len(verdicts) > 600
    assert len(differ) <= (1 - AGREEMENT) * len(verdicts), differ
    # What Spack accepts and we do not begins with a bracket that nothing opened: Spack 0.23 reads nothing of it.
    assert [text for text in differ if not verdicts[text] and not text.startswith("]")] == []


@given(st.text(), LINES)
def test_no_text_is_too_much(text: str, line: SpackLine) -> None:
    found = parse_spec(text, line)
    assert isinstance(found, AbstractSpec) or 1 <= found.column <= len(text) + 1


@given(st.text("ab1@+~-=:,^%/[]\"'. *c", max_size=20), LINES)
def test_what_is_accepted_is_printed_and_read_again(text: str, line: SpackLine) -> None:
    found = parse_spec(text, line)
    if isinstance(found, AbstractSpec) and not any(edge.when for edge in found.all_edges()):
        again = parse_spec(str(found), line)
        assert isinstance(again, AbstractSpec), (str(found), again)
        assert str(again) == str(found)


NAMES = st.from_regex(r"[a-z][a-z0-9]{0,3}(-[a-z0-9]{1,3})?", fullmatch=True)
NUMBERS = st.from_regex(r"[0-9]{1,2}(\.[0-9]{1,2}){0,2}", fullmatch=True)
VERSIONS = st.one_of(
    NUMBERS,
    NUMBERS.map("={}".format),
    NUMBERS.map("{}:".format),
    NUMBERS.map(":{}".format),
    NUMBERS.map("git.main={}".format),
    st.lists(NUMBERS, min_size=2, max_size=3).map(",".join),
).map(read_versions)
SETTINGS = st.one_of(
    st.builds(Attribute, NAMES, st.booleans(), st.booleans()),
    st.builds(Attribute, NAMES, st.from_regex(r"[a-z0-9]([a-z0-9 ,._-]{0,5}[a-z0-9])?", fullmatch=True), st.booleans()),
)
NODES = st.builds(
    AbstractSpec,
    name=NAMES,
    namespace=st.one_of(st.just(""), NAMES),
    versions=st.none() | VERSIONS,
    settings=st.lists(SETTINGS, max_size=3, unique_by=lambda one: one.name).map(tuple),
    hash=st.sampled_from(("", "abc123")),
)
SPECS = st.builds(
    lambda root, others: AbstractSpec(
        root.name,
        root.namespace,
        root.versions,
        root.settings,
        root.hash,
        tuple(Edge("^", one) for one in others),
    ),
    NODES,
    st.lists(NODES, max_size=2, unique_by=lambda one: one.name),
)


@given(SPECS, LINES)
def test_what_is_printed_is_accepted(spec: AbstractSpec, line: SpackLine) -> None:
    found = parse_spec(str(spec), line)
    assert isinstance(found, AbstractSpec), (str(spec), found)
    assert str(found) == str(spec)


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        ("openmpi@", 8, "needs a version"),
        ("hdf5 ++mpi +", 12, "needs the name of a variant"),
        ("hdf5 build_type = Release", 17, "build_type=Release"),
        ("hdf5 build_type=\u201cRelease\u201d", 16, "typographic quotes"),
        ("hdf5 \u2013mpi", 6, "typographic dash"),
        ("hdf5@1.14:1.10", 5, "smaller version"),
        ("hdf5 +mpi ~mpi", 11, "twice"),
        ("hdf5 zlib", 6, "second spec"),
        ("hdf5 ^zlib@1 ^zlib@2", 14, "different versions"),
        ("hdf5 %[virtual=c] gcc", 8, "no attribute 'virtual'"),
        ("hdf5 %", 6, "no name"),
        ("./hdf5.json", 1, "read as a file"),
    ],
)
def test_mistakes_have_a_place_and_a_hint(text: str, column: int, words: str) -> None:
    found = parse_spec(text, SpackLine(1, 1))
    assert isinstance(found, Misspelt)
    assert found.column == column
    assert words in f"{found.message}; {found.hint}"


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("cmake build_type = Release", SpackLine(0, 21), SpackLine(0, 21)),
        ("hdf5 %gcc@12 +mpi", SpackLine(0, 21), SpackLine(1, 2)),
        ("hdf5 %c,cxx=gcc", SpackLine(1, 0), SpackLine(1, 2)),
        ("hdf5 %[when=%c] c=gcc", SpackLine(1, 0), SpackLine(1, 2)),
        ("hdf5 targets:=x86", SpackLine(1, 0), SpackLine(1, 2)),
        ("hdf5 %gcc %clang", SpackLine(1, 0), SpackLine(1, 2)),
        ("hdf5 ^[virtuals=mpi] mpich", SpackLine(0, 21), SpackLine(1, 2)),
        ("hdf5 fabrics=none,ucx", SpackLine(1, 0), SpackLine(1, 2)),
        ("hdf5 arch==linux-debian12-zen2", SpackLine(0, 21), SpackLine(0, 22)),
    ],
)
def test_lines_differ(text: str, first: SpackLine, last: SpackLine) -> None:
    accepted = [line for line in SUPPORTED if isinstance(parse_spec(text, line), AbstractSpec)]
    assert accepted == [line for line in SUPPORTED if first <= line <= last]


def test_a_toolchain_stands_last() -> None:
    names = frozenset({"clang_gfortran"})
    assert isinstance(parse_spec("hdf5 +mpi %clang_gfortran", SpackLine(1, 1), names), AbstractSpec)
    refused = parse_spec("hdf5 %clang_gfortran +mpi", SpackLine(1, 1), names)
    assert isinstance(refused, Misspelt)
    assert "toolchain" in refused.hint


def test_what_a_percent_is_about() -> None:
    found = parse_spec("hdf5 %gcc ^mpich %clang +x", SpackLine(1, 1))
    assert isinstance(found, AbstractSpec)
    assert [edge.spec.name for edge in found.edges] == ["gcc", "mpich"]
    clang = found.edges[1].spec.edges[0].spec
    assert (clang.name, [one.name for one in clang.settings]) == ("clang", ["x"])
