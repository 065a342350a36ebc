"""A report as metrics, which a merge request compares with those of its target branch. Pure.

Source: GitLab docs, "Metrics reports": OpenMetrics' text format, a name, labels and a number a line.
"""

from __future__ import annotations

from collections.abc import Iterator

from job_creator.reports.report import StackReport


def metrics_text(report: StackReport) -> str:
    """The metrics. Names of packages are no labels: a merge request would list each as new or gone."""
    return "".join(f"{name} {value:g}\n" for name, value in _metrics(report)) + "# EOF\n"


def _metrics(report: StackReport) -> Iterator[tuple[str, float]]:
    kind = report.kind.value
    for state, count in report.counts.items():
        yield f'spacktainers_packages{{kind="{kind}",state="{state}"}}', count
    if report.schedule is not None:
        yield f'spacktainers_time_minutes{{kind="{kind}"}}', round(report.schedule.seconds / 60)
    yield f'spacktainers_longest_chain_minutes{{kind="{kind}"}}', round(report.critical_seconds / 60)
    yield f'spacktainers_runner_hours{{kind="{kind}"}}', round(report.work_seconds / 3600, 1)
    if report.cache is not None:
        yield f'spacktainers_build_cache_percent{{kind="{kind}"}}', round(100 * report.cache.rate, 1)
    if report.changes is not None:
        yield f'spacktainers_root_causes{{kind="{kind}"}}', len(report.changes.causes)
