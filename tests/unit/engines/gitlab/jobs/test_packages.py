"""The jobs that build packages."""

from __future__ import annotations

from job_creator.builds.steps import Step
from job_creator.engines.gitlab.jobs.packages import job_name


def test_long_versions_are_cut_out_of_names_and_hashes_are_not() -> None:
    step = Step("a" * 32, "zlib", "git." + "f" * 200, "x", ())
    assert len(job_name(step)) == 128
    assert job_name(step).startswith("zlib@git.")
    assert job_name(step).endswith(f" /{'a' * 32}")
