"""What publishing does, as people read it in a terminal or a job log, and as machines do."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from foundation.shown import shown_size
from foundation.tables import new_table
from job_creator.provenance.signing import SignatureVerdict
from job_creator.publishing.record import PublicationRecord
from job_creator.publishing.retention import SifRemoval


def print_removals(removals: Sequence[SifRemoval], console: Console) -> None:
    """What goes: a table on a terminal, one line each elsewhere."""
    rows = [
        (what(removal), removal.placed.record.ref, shown_size(size_of(removal)), removal.reason) for removal in removals
    ]
    if console.is_terminal and rows:
        table = new_table(("remove", "ref", "size", "why"))
        for place, ref, size, reason in rows:
            table.add_row(Text(place, style="red"), Text(ref), size, Text(reason))
        console.print(table)
        return
    for place, _, size, reason in rows:
        console.print(f"remove {place} ({size}): {reason}", markup=False, highlight=False, soft_wrap=True)


def what(removal: SifRemoval) -> str:
    """The file, link or marker that goes, in words."""
    kind = " (marker)" if removal.placed.is_marker else " (its links; jobs may run from the file)"
    return removal.placed.place + (kind if removal.placed.is_marker or removal.links_only else "")


def size_of(removal: SifRemoval) -> int:
    """The bytes that a removal frees."""
    return 0 if removal.placed.is_marker or removal.links_only else removal.placed.record.size


def print_listing(listed: Sequence[tuple[str, PublicationRecord, SignatureVerdict]], console: Console) -> None:
    """What is published: a table on a terminal, one line each elsewhere."""
    rows = [
        (key, record.ref, shown_size(record.size), record.published, proof_text(proof)) for key, record, proof in listed
    ]
    if console.is_terminal and rows:
        table = new_table(("file", "ref", "size", "published", "proof"))
        for row in rows:
            table.add_row(*map(Text, row))
        console.print(table)
        return
    for key, ref, size, published, proof in rows:
        console.print(f"{key}: {ref}, {size}, {published}, {proof}", markup=False, highlight=False, soft_wrap=True)


def proof_text(proof: SignatureVerdict) -> str:
    """`proven`, or why not."""
    return "proven" if proof.is_good else f"not proven: {proof.reason}"


def removals_as_values(removals: Iterable[SifRemoval]) -> list[dict[str, Any]]:
    """Removals for JSON."""
    return [
        {
            "place": removal.placed.place,
            "ref": removal.placed.record.ref,
            "bytes": size_of(removal),
            "marker": removal.placed.is_marker,
            "links_only": removal.links_only,
            "reason": removal.reason,
        }
        for removal in removals
    ]


def as_json(value: Mapping[str, object]) -> str:
    """A result for machines."""
    return json.dumps(value, indent=2)
