"""What takes the space: specs in groups. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Final

from spackitor.inventory.inventory import Inventory

GROUPS: Final = ("package", "version", "target", "age")
_AGES: Final = ((1, "1 day"), (7, "1 week"), (30, "1 month"), (90, "3 months"), (365, "1 year"))


@dataclass(frozen=True, slots=True)
class SpecGroup:
    """Some specs: how many, their bytes (what several specs share counts in the first), and their ages in days."""

    name: str
    specs: int
    size: int
    youngest: float
    oldest: float


def grouped(inventory: Inventory, by: str) -> tuple[SpecGroup, ...]:
    """All usable specs by package, version, target or age; the largest group first."""
    members: dict[str, list[str]] = {}
    for hash_ in sorted(inventory.usable):
        members.setdefault(_group_of(inventory, hash_, by), []).append(hash_)
    counted: set[str] = set()
    groups = []
    for name, hashes in sorted(members.items()):
        objects = {one.key: one.size for hash_ in hashes for one in inventory.objects_of(hash_)}
        size = sum(bytes_ for key, bytes_ in objects.items() if key not in counted)
        counted |= objects.keys()
        ages = [inventory.age(hash_) for hash_ in hashes]
        groups.append(SpecGroup(name, len(hashes), size, min(ages), max(ages)))
    return tuple(sorted(groups, key=lambda group: (-group.size, group.name)))


def _group_of(inventory: Inventory, hash_: str, by: str) -> str:
    spec = inventory.specs[hash_]
    if by == "version":
        return f"{spec.name}@{spec.version}"
    if by == "target":
        return spec.target
    if by == "age":
        age = inventory.age(hash_)
        if not math.isfinite(age):
            return "not known"
        return next((f"up to {text}" for days, text in _AGES if age <= days), "older")
    return spec.name


def group_values(groups: Iterable[SpecGroup]) -> list[dict[str, Any]]:
    """Groups of specs for machines."""
    return [{**asdict(one), "youngest": age_value(one.youngest), "oldest": age_value(one.oldest)} for one in groups]


def age_value(days: float) -> float | None:
    """An age as JSON has it."""
    return round(days, 2) if math.isfinite(days) else None


def spec_values(inventory: Inventory, hashes: Iterable[str]) -> list[dict[str, Any]]:
    """Specs for machines, in the order of their names."""
    chosen = sorted(hashes, key=lambda hash_: (inventory.specs[hash_].name, inventory.specs[hash_].version, hash_))
    return [
        {
            "hash": hash_,
            "name": inventory.specs[hash_].name,
            "version": inventory.specs[hash_].version,
            "target": inventory.specs[hash_].target,
            "bytes": inventory.size([hash_]),
            "age_days": age_value(inventory.age(hash_)),
            "layouts": sorted({entry.layout for entry in inventory.copies[hash_]}),
            "signed": all(entry.is_signed for entry in inventory.copies[hash_]),
            "views": inventory.views_of(hash_),
        }
        for hash_ in chosen
    ]
