"""Plans of mirrors, and what became of them, for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from foundation.shown import shown_size
from foundation.spack.source_needs import SourceKind
from job_creator.mirrors.needs.plan import MirrorItem, MirrorPlan, Status

KINDS = (*(kind.value for kind in SourceKind), "binary")


def plan_lines(plan: MirrorPlan, place: str) -> Iterator[str]:
    """A plan, line by line: counts, then what is missing and what can never be had, one by one, and what to know."""
    packages = len(plan.needs.packages)
    yield f"{place}: {packages} package{'' if packages == 1 else 's'}"
    width = max(map(len, KINDS))
    yield f"{'':{width}} {'needed':>8} {'present':>8} {'missing':>8} {'never':>8}"
    for kind in KINDS:
        of_kind = [item for item in plan.items if item.kind == kind]
        counts = [sum(item.status == status for item in of_kind) for status in Status]
        if of_kind:
            yield f"{kind:{width}} {len(of_kind):>8} {counts[0]:>8} {counts[1]:>8} {counts[2]:>8}"
    yield f"present: {_bytes(plan, Status.PRESENT)}; missing: {_bytes(plan, Status.MISSING)}"
    for title, status in (("missing", Status.MISSING), ("can never be mirrored", Status.NEVER)):
        if found := plan.of(status):
            yield f"{title}:"
            yield from (f"  {line}" for item in found for line in item_lines(item))
    warned = [package for package in plan.needs.packages.values() if package.warnings]
    if warned:
        yield "good to know:"
        yield from (f"  {package}: {warning}" for package in warned for warning in package.warnings)
    licences = ", ".join(f"{name} {count}" for name, count in plan.licences().items())
    yield f"licences: {licences or 'none'}"


def item_lines(item: MirrorItem) -> Iterator[str]:
    """What an item is, who needs it, its checksum, where it comes from, and why it can never be there."""
    packages = str(item.packages[0]) + (f" and {len(item.packages) - 1} more" if len(item.packages) > 1 else "")
    checksum = f" sha256 {item.source.sha256}" if item.source and item.source.sha256 else ""
    yield f"{item.kind} of {packages}{checksum}{f': {item.reason}' if item.reason else ''}"
    for url in item.source.urls if item.source else ():
        yield f"    {url}"


def plan_as_value(plan: MirrorPlan, place: str) -> dict[str, Any]:
    """A plan for programs. Sizes are in bytes, `null` if unknown."""
    return {
        "mirror": place,
        "complete": plan.is_complete,
        "bytes": {
            status.value: dict(zip(("known", "of_unknown_size"), plan.size(status), strict=True)) for status in Status
        },
        "items": [item_as_value(item) for item in plan.items],
        "packages": [
            {
                "spec": str(package),
                "hash": package.hash,
                "licences": list(package.licences),
                "may_redistribute_source": package.may_redistribute_source,
                "may_redistribute_binary": package.may_redistribute_binary,
                "warnings": list(package.warnings),
            }
            for package in plan.needs.packages.values()
        ],
    }


def as_json(value: object) -> str:
    """JSON as commands print it, with two spaces of indentation."""
    return json.dumps(value, indent=2)


def _bytes(plan: MirrorPlan, status: Status) -> str:
    known, unknown = plan.size(status)
    if not unknown:
        return shown_size(known)
    return f"{shown_size(known)} and {unknown} of unknown size" if known else f"{unknown} of unknown size"


def item_as_value(item: MirrorItem) -> dict[str, Any]:
    """An item of a plan as JSON has it."""
    return {
        "kind": item.kind,
        "status": item.status.value,
        "packages": [str(package) for package in item.packages],
        "hashes": [package.hash for package in item.packages],
        "path": item.path,
        "urls": list(item.source.urls) if item.source else [],
        "sha256": item.source.sha256 if item.source else "",
        "bytes": item.size,
        "reason": item.reason,
    }
