"""A report as Markdown, for a merge request: what fits into a note. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from job_creator.reports.changes_text import escaped
from job_creator.reports.report import StackReport
from job_creator.reports.sections import PACKAGES, ReportSection, sections

ROWS: Final = 15
"""Of a table; of more, how many there are."""


def markdown(report: StackReport) -> str:
    """The facts, and all sections but the list of all packages; long tables are cut, and say so."""
    lines = [f"## {escaped(report.title)}", ""]
    lines += [f"- **{name}**: {escaped(told)}" for name, told in report.facts()]
    for section in sections(report):
        if section.key != PACKAGES:
            lines += ["", *_section(section)]
    return "\n".join(lines) + "\n"


def _section(section: ReportSection) -> Iterator[str]:
    yield f"### {section.title}"
    yield ""
    yield from (f"{escaped(line)}  " for line in section.lines)
    if section.lines and section.rows:
        yield ""
    if len(section.headings) == 1:
        yield from (f"- {escaped(row[0])}" for row in section.rows)
    elif section.rows:
        yield _row(section.headings)
        yield _row(["---:" if heading in section.numbers else "---" for heading in section.headings])
        yield from (_row([escaped(cell) for cell in row]) for row in section.rows[:ROWS])
        if len(section.rows) > ROWS:
            yield ""
            yield f"and {len(section.rows) - ROWS:,} more"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
