"""Facts of ELF files: what is read of whole ones, and that damaged ones are told and never end anything."""

from __future__ import annotations

import io
import json

from hypothesis import given
from hypothesis import strategies as st

from job_creator.studies.splices.facts.elf import read_elf
from job_creator.studies.splices.facts.values import ElfFacts, elf_as_json, elf_from_json
from tests.elf_files import elf_file

NAMES = st.lists(
    st.text(st.characters(codec="ascii", min_codepoint=33), min_size=1, max_size=9), max_size=4, unique=True
)
WHOLE = elf_file(
    soname="libx.so.1",
    needed=["liby.so.2", "libc.so.6"],
    rpath="/opt/y/lib:$ORIGIN/../lib",
    defined=["f", "g"],
    undefined=["h"],
    is_program=True,
)


def facts(data: bytes) -> ElfFacts:
    return read_elf(io.BytesIO(data))


@given(NAMES, NAMES, NAMES)
def test_what_is_written_is_read(needed: list[str], defined: list[str], undefined: list[str]) -> None:
    found = facts(elf_file(needed=needed, defined=defined, undefined=undefined))
    assert found.damage == ""
    assert list(found.needed) == needed
    assert [one.name for one in found.defined] == defined
    assert [one.name for one in found.undefined] == undefined


def test_a_whole_file_says_what_the_loader_reads() -> None:
    found = facts(WHOLE)
    assert (found.machine, found.soname, found.is_program) == ("EM_X86_64/64/little", "libx.so.1", True)
    assert found.rpath == ("/opt/y/lib", "$ORIGIN/../lib")
    assert not found.has_debug_information


@given(st.integers(0, len(WHOLE) - 1), st.binary(min_size=1, max_size=8), st.integers(0, len(WHOLE)))
def test_a_damaged_file_ends_nothing(place: int, junk: bytes, end: int) -> None:
    data = WHOLE[:place] + junk + WHOLE[place + len(junk) :]
    for one in (data, data[:end]):
        found = facts(one)
        assert elf_from_json(elf_as_json(found)) == found


@given(st.binary(max_size=200))
def test_what_is_no_elf_file_is_damaged(junk: bytes) -> None:
    assert facts(b"\x7fELF" + junk).damage


def test_facts_of_another_version_are_found_out_anew() -> None:
    value = json.loads(elf_as_json(facts(WHOLE)))
    assert elf_from_json(json.dumps({**value, "format": 0}).encode()) is None
    assert elf_from_json(b"{") is None
    assert elf_from_json(b"[1]") is None
