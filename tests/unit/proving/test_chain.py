"""What a chain says as a whole, whatever its links are."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.errors import ExitCode
from job_creator.proving.chain import Chain, Link, LinkState, broken, drawn, holds, unanswered, unchecked

LINKS = st.recursive(
    st.builds(Link, st.text(min_size=1), st.sampled_from(LinkState), st.text()),
    lambda inner: st.builds(
        Link, st.text(min_size=1), st.sampled_from(LinkState), st.text(), st.lists(inner, max_size=3).map(tuple)
    ),
    max_leaves=6,
)
SIGNED = holds("signature", "by …", proves=True)


@given(st.lists(LINKS).map(tuple))
def test_without_a_signature_nothing_is_proven(links: tuple[Link, ...]) -> None:
    chain = Chain("x", links)
    assert not chain.is_proven
    assert chain.exit_code != ExitCode.OK


@given(st.lists(LINKS).map(tuple), st.integers(0, 20))
def test_one_broken_link_anywhere_ends_the_proof_and_is_named(links: tuple[Link, ...], place: int) -> None:
    at = min(place, len(links))
    chain = Chain("x", (SIGNED, *links[:at], broken("torn", "here"), *links[at:]))
    first = next(link for link in chain.walk() if link.state is LinkState.BROKEN)
    assert chain.first_broken is first
    assert (chain.is_proven, chain.exit_code) == (False, ExitCode.DAMAGED)
    assert chain.to_value()["first_broken"] == first.name


@given(st.lists(LINKS).map(tuple))
def test_every_link_is_drawn_and_can_be_written(links: tuple[Link, ...]) -> None:
    chain = Chain("x", links)
    assert sum(1 for _ in drawn(chain)) == 1 + sum(1 for _ in chain.walk())
    assert json.loads(json.dumps(chain.to_value()))["target"] == "x"


@pytest.mark.parametrize(
    ("links", "code"),
    [
        ((SIGNED, unchecked("a", "")), ExitCode.OK),
        ((SIGNED, unanswered("a", "")), ExitCode.COULD_NOT_ASK),
        ((unchecked("a", ""),), ExitCode.NOT_READY),
        ((), ExitCode.NOT_READY),
        ((SIGNED, unanswered("a", ""), broken("b", "")), ExitCode.DAMAGED),
    ],
)
def test_causes(links: tuple[Link, ...], code: ExitCode) -> None:
    assert Chain("x", links).exit_code == code
