"""What was tried, as tables and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console

from foundation.tables import print_table
from job_creator.studies.splices.verification.outcomes import Actual, SpliceOutcome, confusion, proposals


def print_outcomes(outcomes: Sequence[SpliceOutcome], console: Console) -> None:
    """The table of predictions and outcomes, the evidence of those that do not agree, and proposals for recipes."""
    counts = confusion(outcomes)
    predicted = sorted({verdict for verdict, _ in counts})
    rows = [[verdict, *(str(counts.get((verdict, actual), 0)) for actual in Actual)] for verdict in predicted]
    print_table(["predicted", *Actual], rows, console)
    for one in outcomes:
        if one.is_false:
            _say(console, f"disagrees: {_named(one)}: predicted {one.prediction.shown_verdict}, {one.actual}:")
            for line in one.evidence:
                _say(console, f"  {line}")
        elif one.actual is Actual.UNKNOWN:
            _say(console, f"not known: {_named(one)}: {one.evidence[0]}")
    for proposal in proposals(outcomes):
        _say(console, f"for the recipe of {proposal.recipe}: {proposal.directive}")
        for line in proposal.evidence:
            _say(console, f"  {line}")


def report_value(outcomes: Sequence[SpliceOutcome]) -> dict[str, Any]:
    """For machines."""
    return {
        "outcomes": [one.as_value() for one in outcomes],
        "confusion": [
            {"predicted": verdict, "actual": str(actual), "count": count}
            for (verdict, actual), count in sorted(confusion(outcomes).items())
        ],
        "proposals": [
            {"recipe": one.recipe, "directive": one.directive, "evidence": list(one.evidence)}
            for one in proposals(outcomes)
        ],
    }


def _named(one: SpliceOutcome) -> str:
    prediction = one.prediction
    return f"{prediction.consumer} with {prediction.replacement} for {prediction.replaced}"


def _say(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)
