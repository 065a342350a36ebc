"""The table of sections of environments."""

from __future__ import annotations

import pytest

from foundation.spack.releases import SUPPORTED
from foundation.spack.sections.section import Place, Rule
from foundation.spack.sections.table import FORMER_SECTIONS, SECTIONS, shipped
from job_creator.definitions.file import SpackEnvironment


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
