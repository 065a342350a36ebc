"""The documentation as a site."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from foundation.yaml_io import load
from tests.samples import REPOSITORY


def pages(nav: Any) -> list[str]:
    """The pages that a navigation names."""
    if isinstance(nav, str):
        return [nav]
    inner = nav.values() if isinstance(nav, dict) else nav
    return [page for one in inner for page in pages(one)]


def test_every_page_can_be_found_from_all_others() -> None:
    path = REPOSITORY / "mkdocs.yml"
    found = pages(load(path.read_bytes(), str(path))["nav"])
    beside = {"index.md", "CHANGELOG.md", "CONTRIBUTING.md"}
    assert sorted(found) == sorted({*beside, *(one.name for one in (REPOSITORY / "docs").glob("*.md"))})


@pytest.mark.usefixtures("components")
@pytest.mark.skipif(importlib.util.find_spec("mkdocs") is None, reason="mkdocs is not installed; 'make site' does it")
def test_the_site_is_written_and_no_link_leads_nowhere(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--config-file", str(REPOSITORY / "mkdocs.yml")]
    done = subprocess.run([*command, "--site-dir", str(tmp_path / "site")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    index = json.loads((tmp_path / "site" / "search" / "search_index.json").read_text())
    assert any(one["location"].startswith("reports.html") for one in index["docs"])
    first = (tmp_path / "site" / "index.html").read_text()
    assert 'href="what-happens-on-a-push.html"' in first
    assert (tmp_path / "site" / "report.png").is_file()
