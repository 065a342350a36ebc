"""What `ga` takes for granted of the pipelines that `jc` writes."""

from __future__ import annotations

import re

from tests.samples import REPOSITORY


def test_names_of_jobs_are_spelled_in_one_place() -> None:
    """D104: a rename elsewhere broke the downloader silently."""
    for path in (REPOSITORY / "get_artifacts").glob("*.py"):
        assert not re.search(r"process spack pipeline|generate spacktainer|base containers and", path.read_text()), path
