"""Every example of the documentation is run, as a reader would run it, but for those that say what they need.

With `UPDATE_GOLDEN=1` figures that have changed are written into the pages; what else has changed is told as ever.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.documentation import PAGES, blocks
from tests.integration.docs_site import Done, site_for
from tests.integration.fork_server import quick_programs_fixture as quick_programs_fixture
from tests.integration.s3_server import s3_environment_fixture as s3_environment_fixture
from tests.integration.s3_server import s3_url_fixture as s3_url_fixture

WITH_EXAMPLES = [page for page in PAGES if any(one.is_shell and not one.needs_a_site for one in blocks(page))]


@pytest.mark.parametrize("page", WITH_EXAMPLES, ids=lambda page: page.name)
def test_examples_do_what_the_page_says(page: Path, tmp_path: Path, s3_environment: str, quick_programs: Path) -> None:
    examples = [one for one in blocks(page) if one.is_shell and not one.needs_a_site]
    with site_for(page, tmp_path, s3_environment, quick_programs) as site:
        results = site.run(examples)
    if os.environ.get("UPDATE_GOLDEN"):
        for done in results:
            write_figures(done)
        return
    wrong = [fault for done in results if (fault := fault_of(done))]
    assert not wrong, "\n".join(wrong)


def fault_of(done: Done) -> str:
    shown = done.block.output
    # A page that shows an error wants it; every other command has to succeed.
    if done.failed and not (shown or "").startswith("error: "):
        return f"{done.block}: {done.failed} failed:\n{done.output}"
    if shown is not None and not re.fullmatch(pattern(shown), done.output):
        return f"{done.block}: prints something else:\n{done.output}"
    return ""


def pattern(shown: str) -> str:
    """What a page shows, as a pattern: `…` alone in a line is any number of lines; columns have any width."""
    lines = [
        "(?:.*\n)*?" if line == "…" else ".*?".join(map(_of_columns, line.split("…"))) + " *\n"
        for line in shown.splitlines()
    ]
    return "".join(lines)


def _of_columns(part: str) -> str:
    return " {2,}".join(re.escape(cell) for cell in re.split(" {2,}", part))


def write_figures(done: Done) -> None:
    """Let the page show the lines that were printed, where they differ in their figures alone."""
    shown = done.block.output or ""
    printed = done.output.splitlines()
    for line in shown.splitlines():
        if "…" in line or line in printed:
            continue
        same = re.compile(r"\d[\d,.]*".join(re.escape(part) for part in re.split(r"\d[\d,.]*", line)))
        found = [one for one in printed if same.fullmatch(one.rstrip())]
        if len(found) == 1:
            page = done.block.page
            page.write_text(page.read_text().replace(line, found[0].rstrip()))
