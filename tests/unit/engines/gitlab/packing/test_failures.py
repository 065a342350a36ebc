"""What fails keeps exactly its dependents from being built, however the packages are laid out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from foundation.graph import Edges, reachable
from job_creator.site.gitlab import Fuse
from tests.pipeline_outcomes import play
from tests.samples import SITE
from tests.spack_ci import fusable, generated, spack_hash
from tests.strategies import graphs
from tests.unit.engines.gitlab.packing.packed import hashed, packed

FUSED: list[Fuse] = ["off", "auto", 60, 200, 900]


@given(graphs(most=20), st.integers(1, 12), st.integers(5, 8), st.sampled_from(FUSED), st.data())
def test_exactly_the_dependents_of_what_failed_are_not_built(
    edges: Edges, max_jobs: int, max_needs: int, fuse: Fuse, data: st.DataObject
) -> None:
    failing = data.draw(st.sets(st.sampled_from(sorted(edges)))) if edges else set()
    text = f"gitlab: {{limits: {{max_needs: {max_needs}}}}}\n"
    merged, result = packed([fusable(generated("x", edges))], text=SITE + text, max_jobs=max_jobs, fuse=fuse)
    outcomes = play(result, merged.edges, {spack_hash(one) for one in failing})
    needed = reachable(hashed(edges))
    failed = {spack_hash(one) for one in failing}
    assert outcomes.built == {key for key in needed if key not in failed and not needed[key] & failed}
    root = result.files[0].name
    ends = {name: state for name, state in outcomes.ended.items() if name.startswith(f"{root}: ")}
    # Red if anything failed, and the index is rebuilt in every case, after everything else.
    assert ("failed" in ends.values()) == bool(failed)
    if edges:
        assert outcomes.order[-1] == "rebuild-index"
