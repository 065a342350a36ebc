"""Shapes of sections against what Spack's own schemas say of them (`tests/record_schemas.py`)."""

from __future__ import annotations

import json
from typing import Any

from foundation.spack.releases import SpackLine
from foundation.spack.sections.shape import Misfit, misfits
from foundation.spack.sections.shapes import SHAPES, SPECS
from foundation.yaml_io import parse
from tests.samples import REPOSITORY

RECORDED: list[dict[str, Any]] = json.loads(
    (REPOSITORY / "tests" / "data" / "spack_schemas" / "spack-1.1.json").read_text()
)["sections"]


def found_in(text: str) -> list[Misfit]:
    sections: dict[str, Any] = parse(text.encode(), "spack.yaml").value["spack"]
    return [
        one
        for name, value in sections.items()
        for one in misfits(SPECS if name == "specs" else SHAPES[name], value, SpackLine(1, 1), (name,))
    ]


REFUSED_LATER = ("'matrix' is missing", "'spec' is missing", "'link_type' must not be", "'default' must be a mapping")
"""What the schema takes and Spack's code then refuses."""


def is_stricter(found: Misfit) -> bool:
    """Whether Spack's schema takes it, but no code of Spack looks at it, or refuses it, or reads a switch as text."""
    return found.message.startswith(("unknown key", *REFUSED_LATER)) or "is text" in found.hint


def test_what_spack_refuses_is_found_and_nothing_that_works() -> None:
    refused = [one["text"] for one in RECORDED if not one["accepted"]]
    accepted = [one["text"] for one in RECORDED if one["accepted"]]
    missed = [text for text in refused if not found_in(text)]
    false = [text for text in accepted if (found := found_in(text)) and not all(map(is_stricter, found))]
    assert len(refused) > 300
    assert len(accepted) > 100
    assert missed == []
    assert false == []
