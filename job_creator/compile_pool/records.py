"""What became of each command of a compiler: a line of JSON each, and what they say together. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from job_creator.compile_pool.commands import sources_of


@dataclass(frozen=True, slots=True)
class CompileRecord:
    """A command, and where it was done."""

    folder: str
    argv: tuple[str, ...]
    source: str = ""
    """Where it makes an object of one."""
    rank: int | None = None
    """That made the object; `None` for here."""
    why: str = ""
    """It was done here."""
    is_compile: bool = True
    """Whether it makes an object at all; links do not."""
    text: int = 0
    """Bytes of the preprocessed text,"""
    shipped: int = 0
    """of it on its way, packed,"""
    came: int = 0
    """and of what came back."""
    seconds: float = 0.0
    """Of the compiler, elsewhere."""

    @property
    def place(self) -> str:
        """Where it was done, or why here."""
        return f"rank {self.rank}" if self.rank is not None else self.why

    def line(self) -> str:
        """Itself as a line of JSON."""
        value: dict[str, Any] = {"directory": self.folder, "arguments": list(self.argv), "file": self.source}
        value |= {"rank": self.rank, "why": self.why, "compile": self.is_compile, "text": self.text}
        value |= {"shipped": self.shipped, "came": self.came, "seconds": self.seconds}
        return json.dumps(value)


@dataclass(frozen=True, slots=True)
class PoolSummary:
    """What all lines of a log say together."""

    ranks: Mapping[int, int]
    """How many objects each rank made."""
    reasons: Mapping[str, int]
    """How many compiles were done here, by the reason."""
    others: int
    """Commands that make no object: links, questions to the compiler."""
    shipped: int
    came: int

    @property
    def share(self) -> float | None:
        """Of all compiles that could be done elsewhere, how many were; `None` without any."""
        elsewhere, all_ = sum(self.ranks.values()), sum(self.ranks.values()) + sum(self.reasons.values())
        return elsewhere / all_ if all_ else None

    def __str__(self) -> str:
        """For people; the most frequent reasons first."""
        elsewhere, here = sum(self.ranks.values()), sum(self.reasons.values())
        text = f"{elsewhere} compiles on {len(self.ranks)} ranks, {here} here, {self.others} other commands"
        mib = (self.shipped + self.came) / (1 << 20)
        lines = [f"{text}; {mib:.1f} MiB were sent"]
        by_number = sorted(self.reasons.items(), key=lambda one: (-one[1], one[0]))
        return "\n".join([*lines, *(f"  {number} here: {reason}" for reason, number in by_number[:10])])


def summarize(lines: Iterable[bytes]) -> PoolSummary:
    """Of the lines of a log. A last line that was cut off does not count."""
    ranks: dict[int, int] = {}
    reasons: dict[str, int] = {}
    others = shipped = came = 0
    for line in lines:
        try:
            value = json.loads(line)
        except ValueError:
            continue
        shipped, came = shipped + value["shipped"], came + value["came"]
        if value["rank"] is not None:
            ranks[value["rank"]] = ranks.get(value["rank"], 0) + 1
        elif value["compile"]:
            reasons[value["why"]] = reasons.get(value["why"], 0) + 1
        else:
            others += 1
    return PoolSummary(dict(sorted(ranks.items())), reasons, others, shipped, came)


def compile_commands(lines: Iterable[bytes]) -> list[dict[str, Any]]:
    """A compilation database, as Clang's tools read it: directory, arguments and file of each source.

    Source: Clang's documentation, "JSON Compilation Database Format Specification".
    """
    found = []
    for line in lines:
        try:
            value = json.loads(line)
        except ValueError:
            continue
        kept = {key: value[key] for key in ("directory", "arguments")}
        found += [{**kept, "file": source} for source in sources_of(value["arguments"])]
    return found
