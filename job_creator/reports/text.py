"""Plans and faults as people read them in a terminal or a job log, and as machines do."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from foundation.errors import Fault
from foundation.tables import print_table
from job_creator.engines.gitlab.limits import LimitReport
from job_creator.engines.gitlab.objects import Job, Pipeline
from job_creator.images.decisions import Action, Decision

_STYLES = {
    Action.BUILD: "bold yellow",
    Action.TAG: "yellow",
    Action.REUSE: "green",
    Action.COPY: "yellow",
    Action.CONCRETIZE: "cyan",
    Action.DECIDE_LATER: "dim",
    Action.FAIL: "bold red",
    Action.LEAVE_OUT: "magenta",
}
_NEARLY_FULL = 0.9


def print_plan(decisions: Sequence[Decision], pipeline: Pipeline[Job], limits: LimitReport, console: Console) -> None:
    """A table of all decisions with their reasons, and how near the pipeline is to GitLab's limits."""
    rows = [
        (one.subject, one.name, one.architecture, Text(one.action, style=_STYLES[one.action]), one.reason)
        for one in decisions
    ]
    print_table(("what", "name", "arch", "action", "why"), rows, console)
    console.print(summary(decisions, pipeline), highlight=False, soft_wrap=True)
    print_headroom(limits, console)


def print_headroom(limits: LimitReport, console: Console) -> None:
    """One line per limit: what is used of it."""
    for room in limits.headroom:
        style = "bold red" if room.share > 1 else "yellow" if room.share > _NEARLY_FULL else "dim"
        text = Text(f"{room.name}: {room.used:,} of {room.limit:,} ({room.share:.0%})", style=style)
        console.print(text, highlight=False, soft_wrap=True)


def summary(decisions: Sequence[Decision], pipeline: Pipeline[Job]) -> str:
    """The plan in one line."""
    counts = {action: sum(decision.action is action for decision in decisions) for action in Action}
    doing = sum(counts[action] for action in (Action.BUILD, Action.TAG, Action.COPY))
    parts = [f"{doing} to build or publish", f"{counts[Action.REUSE]} up to date"]
    if counts[Action.CONCRETIZE]:
        parts.append(f"{counts[Action.CONCRETIZE]} environments to concretize")
    if counts[Action.FAIL]:
        parts.append(f"{counts[Action.FAIL]} that cannot be built")
    return f"{len(pipeline.jobs)} jobs: {', '.join(parts)}"


def plan_as_json(
    decisions: Sequence[Decision], pipeline: Pipeline[Job], limits: LimitReport, environments: Iterable[str] = ()
) -> str:
    """The plan for machines, as JSON."""
    value: dict[str, Any] = {
        "decisions": [
            {
                "subject": decision.subject,
                "name": decision.name,
                "architecture": decision.architecture or None,
                "action": decision.action,
                "reason": decision.reason,
            }
            for decision in decisions
        ],
        "jobs": [job.name for job in pipeline.jobs],
        "environments": sorted(environments),
        "limits": [{"name": room.name, "used": room.used, "limit": room.limit} for room in limits.headroom],
        "findings": [
            {"job": finding.job or None, "keyword": finding.keyword or None, "message": finding.message}
            for finding in limits.findings
        ],
    }
    return json.dumps(value, indent=2)


def faults_as_json(faults: Iterable[Fault]) -> str:
    """Faults for machines."""
    return json.dumps(
        [
            {
                "path": fault.path,
                "line": fault.line,
                "column": fault.column,
                "message": fault.message,
                "hint": fault.hint or None,
            }
            for fault in faults
        ],
        indent=2,
    )


def faults_as_code_quality(faults: Iterable[Fault]) -> str:
    """Faults as merge requests show them (GitLab docs, "Code Quality", "Code Quality report format").

    The fingerprint leaves the line out, so that a fault stays the same one when lines above it change.
    """
    entries = []
    seen: dict[str, int] = {}
    for fault in faults:
        text = f"{fault.message}; {fault.hint}" if fault.hint else fault.message
        key = f"{fault.path}\0{fault.message}"
        seen[key] = seen.get(key, 0) + 1
        fingerprint = hashlib.sha256(f"{key}\0{seen[key]}".encode()).hexdigest()
        entries.append(
            {
                "description": text,
                "check_name": "spacktainers",
                "fingerprint": fingerprint,
                "severity": "blocker",
                "location": {"path": fault.path, "lines": {"begin": fault.line}},
            }
        )
    return json.dumps(entries, indent=2)
