"""Every example of the documentation is run, as a reader would run it, but for those that say what they need."""

from __future__ import annotations

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
        wrong = [fault for done in site.run(examples) if (fault := fault_of(done))]
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
    """What a page shows, as a regular expression: `…` alone in a line is any number of lines."""
    lines = [
        "(?:.*\n)*?" if line == "…" else ".*?".join(re.escape(part) for part in line.split("…")) + " *\n"
        for line in shown.splitlines()
    ]
    return "".join(lines)
