"""All forms of a report by their names, and the one for terminals."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from foundation.tables import print_table
from job_creator.reports.forms.markdown import markdown
from job_creator.reports.forms.metrics import metrics_text
from job_creator.reports.forms.page import page
from job_creator.reports.forms.trace import trace_value
from job_creator.reports.report import StackReport
from job_creator.reports.sections import PACKAGES, sections

if TYPE_CHECKING:
    from rich.console import Console


def _json(report: StackReport) -> str:
    return json.dumps(report.as_value(), indent=1) + "\n"


def _trace(report: StackReport) -> str:
    return json.dumps(trace_value(report), separators=(",", ":")) + "\n"


FILES: Final[Mapping[str, tuple[str, Callable[[StackReport], str]]]] = {
    "html": ("report.html", page),
    "markdown": ("report.md", markdown),
    "json": ("report.json", _json),
    "trace": ("trace.json", _trace),
    "metrics": ("metrics.txt", metrics_text),
}
"""The file of each form, and what writes it."""


def print_report(report: StackReport, console: Console) -> None:
    """The report on a terminal, without the list of all packages."""

    def say(text: str = "", style: str = "") -> None:
        console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)

    for name, told in report.facts():
        say(f"{name}: {told}")
    for section in sections(report):
        if section.key == PACKAGES:
            continue
        say()
        say(section.title, "bold")
        for line in (*section.lines, *(row[0] for row in section.rows if len(section.headings) == 1)):
            say(line)
        if len(section.headings) > 1:
            print_table(section.headings, section.rows, console)
