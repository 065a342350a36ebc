"""The table of sections of environments."""

from __future__ import annotations

import pytest

from foundation.spack.releases import SUPPORTED
from foundation.spack.sections.section import OLDEST, Place, Rule
from foundation.spack.sections.table import FORMER_SECTIONS, SECTIONS, shipped
from job_creator.definitions.file import SpackEnvironment
from tests.documentation import DOCS, section, table


def test_the_table_has_every_section_that_a_definition_may_have_and_no_other() -> None:
    assert set(SECTIONS) == set(SpackEnvironment.model_fields)
    assert not set(SECTIONS) & set(FORMER_SECTIONS)


@pytest.mark.parametrize("row", SECTIONS.values(), ids=list(SECTIONS))
def test_a_rule_says_what_the_effect_says(row: object) -> None:
    found = next(one for one in SECTIONS.values() if one is row)
    assert bool(found.effect) == (found.rule is not Rule.REFUSED) == (not found.instead)
    assert shipped(found.name) == (found.rule is Rule.TRAVELS)
    if found.rule is Rule.STAYS_OUT:
        assert Place.IMAGE not in found.effect
    if found.rule is Rule.APART:
        assert Place.IMAGE in found.effect


@pytest.mark.parametrize(
    ("section", "value", "since"),
    [("include_concrete", [], (0, 22)), ("toolchains", {}, (1, 0)), ("repos", {}, (1, 0)), ("specs", [], (0, 18))],
)
def test_sections_are_known_from_their_line_on(section: str, value: object, since: tuple[int, int]) -> None:
    assert [line for line in SUPPORTED if not SECTIONS[section].why_unknown(value, line)] == [
        line for line in SUPPORTED if line >= since
    ]


def test_the_documentation_shows_the_table() -> None:
    rows = {
        row[0].strip("`"): row[1:] for row in table(section(DOCS / "definitions.md", "Containers from Spack specs"))
    }
    assert set(SECTIONS) <= set(rows)
    for one in SECTIONS.values():
        since, *places, last = rows[one.name]
        assert [bool(place) for place in places] == [place in one.effect for place in Place], one.name
        assert last == (f"refused: {one.why}; {one.instead}" if one.instead else one.why)
        first = one.since if one.mapping_since == OLDEST else one.mapping_since
        assert since.removeprefix("mapping: ") == ("" if first == OLDEST else str(first))
