"""A report as one HTML page that needs nothing else, and no script to be read.

All that comes from elsewhere is text for the template, which escapes it; scripts may only run that have the checksum of
the one in the page (Content Security Policy Level 3, "script-src", hashes).
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from functools import lru_cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from job_creator.reports.forms.pictures import concurrency, gantt
from job_creator.reports.report import StackReport
from job_creator.reports.sections import CONCURRENCY, PACKAGES, SCHEDULE, sections


def page(report: StackReport) -> str:
    """The page, as HTML."""
    environment = _environment()
    script, style = (_text(environment, name) for name in ("report.js", "report.css"))
    schedule = report.schedule if report.schedule and report.schedule.bars else None
    pictures = {SCHEDULE: Markup(gantt(schedule)), CONCURRENCY: Markup(concurrency(schedule))} if schedule else {}  # noqa: S704 - numbers alone
    return environment.get_template("report.html.j2").render(
        report=report,
        sections=sections(report),
        pictures=pictures,
        packages_key=PACKAGES,
        script=script,
        script_sum=b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        style=style,
        has_failed_bars=schedule is not None and any(bar.is_failed for bar in schedule.bars),
        has_other_bars=schedule is not None and not all(bar.packages for bar in schedule.bars),
    )


@lru_cache(maxsize=1)
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("job_creator.reports.forms", "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=True,
    )


def _text(environment: Environment, name: str) -> Markup:
    """A file beside the template, as it is."""
    found = environment.loader.get_source(environment, name)[0] if environment.loader else ""
    return Markup(found.strip())  # noqa: S704 - no words of users
