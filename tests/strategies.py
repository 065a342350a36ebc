"""Values that hypothesis makes up."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import strategies as st

from foundation.graph import Edges

texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("\n\t"), max_size=30)


scalars = st.none() | st.booleans() | st.integers() | st.sampled_from([0.5, -2.25, 1000.0]) | texts


trees: st.SearchStrategy[Any] = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=20
)


@st.composite
def graphs(draw: st.DrawFn, most: int = 14) -> Edges:
    """Acyclic graphs whose names say nothing about their order."""
    count = draw(st.integers(1, most))
    labels = draw(st.permutations([f"n{number:02}" for number in range(count)]))
    density = draw(st.floats(0, 0.6))
    chance = random.Random(draw(st.integers(0, 1 << 20)))
    return {
        labels[node]: frozenset(labels[other] for other in range(node) if chance.random() < density)
        for node in range(count)
    }
